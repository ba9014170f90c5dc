<?php echo "php-fpm says ", PHP_SAPI, "\n";
