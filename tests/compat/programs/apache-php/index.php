<?php echo "apache says ", PHP_SAPI, "\n";
