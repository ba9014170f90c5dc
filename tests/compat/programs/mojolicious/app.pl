use Mojolicious::Lite -signatures;
get '/' => sub ($c) { $c->render(text => "mojolicious says hello\n") };
app->start;
