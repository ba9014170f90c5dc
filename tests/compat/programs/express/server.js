const app = require('express')();
app.get('/', (request, response) => response.type('text').send('express says hello\n'));
app.listen(process.env.PORT);
