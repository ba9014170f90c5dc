<?php
// SQLite, System V shared memory, a child process, the container's interfaces.
$db = new PDO('sqlite:/tmp/db');
$db->setAttribute(PDO::ATTR_ERRMODE, PDO::ERRMODE_EXCEPTION);
$db->exec('CREATE TABLE IF NOT EXISTS t (n INTEGER); INSERT INTO t VALUES (1)');
$memory = shm_attach(ftok(__FILE__, 'c'), 4096);
shm_put_var($memory, 1, 'shared');
header('Content-Type: text/plain');
echo 'rows ', $db->query('SELECT count(*) > 0 FROM t')->fetchColumn(), "\n";
echo shm_get_var($memory, 1), "\n";
echo 'child ', shell_exec('echo of php');
echo 'interfaces ', implode(' ', array_keys(net_get_interfaces())), "\n";
