import 'reflect-metadata';
import {Controller, Get, Module} from '@nestjs/common';
import {NestFactory} from '@nestjs/core';

@Controller()
class HelloController {
  @Get()
  hello(): string {
    return 'nest says hello\n';
  }
}

@Module({controllers: [HelloController]})
class HelloModule {}

NestFactory.create(HelloModule).then(app => app.listen(Number(process.env['PORT']), '0.0.0.0'));
declare const process: {env: Record<string, string>};
