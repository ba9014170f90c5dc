const fastify = require('fastify')({logger: true});
fastify.get('/', async () => ({fastify: 'hello'}));
fastify.listen({port: Number(process.env.PORT), host: '0.0.0.0'});
