// textOf: what an exception says. Poco's what() is only its class.
//
// Threads and failures: none.
#pragma once

#include <Poco/Exception.h>

#include <string>

namespace cloister::node {

[[nodiscard]] inline std::string textOf(const std::exception& error) {
  const auto* poco = dynamic_cast<const Poco::Exception*>(&error);
  return poco != nullptr ? poco->displayText() : error.what();
}

}  // namespace cloister::node
