// The tool as a user calls it, in this process.
#pragma once

#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "api/cli/commands.h"

namespace cloister::cli::test {

struct Outcome {
  int code = -1;
  std::string out;
  std::string err;
};

inline Outcome cloister(std::vector<std::string> arguments, const std::string& server = "http://127.0.0.1:1",
                        const std::string& input = {}) {
  std::istringstream in(input);
  std::ostringstream out;
  std::ostringstream err;
  const Environment environment = [&](const std::string& name) -> std::optional<std::string> {
    if (name == "CLOISTER_SERVER") return server;
    if (name == "CLOISTER_TOKEN") return "clst_test";
    return std::nullopt;
  };
  Outcome outcome;
  outcome.code = run(arguments, {in, out, err}, environment, {});
  outcome.out = out.str();
  outcome.err = err.str();
  return outcome;
}

}  // namespace cloister::cli::test
