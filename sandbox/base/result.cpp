#include "sandbox/base/result.h"

#include <cerrno>
#include <system_error>

namespace cloister {

std::string Error::message() const {
  std::string text = stage;
  text += ": ";
  text += operation;
  if (!path.empty()) text += " " + path;
  if (code != 0) text += ": " + std::generic_category().message(code);
  return text;
}

Error errnoError(std::string_view stage, std::string_view operation, std::string_view path) {
  const int code = errno;
  return Error{std::string(stage), std::string(operation), std::string(path), code};
}

}  // namespace cloister
