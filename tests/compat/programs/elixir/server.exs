:inets.start()

{:ok, _} =
  :inets.start(:httpd, port: String.to_integer(System.get_env("PORT")), server_name: 'hello', server_root: '/tmp', document_root: '/app')

Process.sleep(:infinity)
