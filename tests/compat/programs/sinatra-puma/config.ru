require 'sinatra'
get('/') { "sinatra says hello\n" }
run Sinatra::Application
