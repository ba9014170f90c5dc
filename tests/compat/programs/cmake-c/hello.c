#include <microhttpd.h>
#include <stdlib.h>
#include <unistd.h>

static enum MHD_Result answer(void* closure, struct MHD_Connection* connection, const char* url, const char* method,
                              const char* version, const char* data, size_t* size, void** state) {
  static char text[] = "libmicrohttpd says hello\n";
  struct MHD_Response* response = MHD_create_response_from_buffer(sizeof text - 1, text, MHD_RESPMEM_PERSISTENT);
  enum MHD_Result result = MHD_queue_response(connection, 200, response);
  MHD_destroy_response(response);
  return result;
}

int main(int count, char** arguments) {
  if (count < 2 || !MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, (unsigned short)atoi(arguments[1]), NULL, NULL,
                                     answer, NULL, MHD_OPTION_END))
    return 1;
  for (;;) pause();
}
