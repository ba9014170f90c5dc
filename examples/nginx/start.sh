#!/bin/sh
# Writes the port into nginx's configuration and becomes nginx.
set -eu
mkdir -p /tmp/nginx
sed "s/@PORT@/$PORT/" nginx.conf.in >/tmp/nginx/nginx.conf
# -e: until its configuration is read nginx would log to a file that only root may write.
exec nginx -e /dev/stderr -c /tmp/nginx/nginx.conf
