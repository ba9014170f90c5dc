# Turns a text file into a C++ array: cmake -DSOURCE=... -DTEMPLATE=... -DOUTPUT=... -P embed.cmake
file(READ ${SOURCE} hex HEX)
string(LENGTH "${hex}" digits)
math(EXPR size "${digits} / 2")
string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
configure_file(${TEMPLATE} ${OUTPUT} @ONLY)
