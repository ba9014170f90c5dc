require('http').createServer((request, response) => response.end('pm2 says hello\n')).listen(process.env.PORT);
