import asyncio
import os

import tornado.web


class Hello(tornado.web.RequestHandler):
    def get(self):
        self.write("tornado says hello")


async def main():
    server = tornado.web.Application([(r"/", Hello)])
    server.listen(int(os.environ["PORT"]))
    await asyncio.Event().wait()


asyncio.run(main())
