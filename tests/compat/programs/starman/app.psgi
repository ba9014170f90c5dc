sub { [200, ["Content-Type" => "text/plain"], ["starman says hello\n"]] };
