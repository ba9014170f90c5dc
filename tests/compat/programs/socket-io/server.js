// A server, and a client of it whose every message crosses a WebSocket.
const {Server} = require('socket.io');
const {io} = require('socket.io-client');
const http = require('http');
const server = http.createServer((request, response) => {
  const client = io(`http://127.0.0.1:${process.env.PORT}`, {transports: ['websocket']});
  client.emit('ask', 'hello', answer => { response.end(answer + '\n'); client.close(); });
});
new Server(server).on('connection', socket => socket.on('ask', (text, reply) => reply(`socket.io says ${text}`)));
server.listen(process.env.PORT);
