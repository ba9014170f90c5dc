#include <csignal>
#include <iostream>

#include "api/cli/commands.h"

int main(int argc, char** argv) {
  // A reader that goes away shows as a failed write, not as a signal.
  static_cast<void>(std::signal(SIGPIPE, SIG_IGN));
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const cloister::cli::Environment environment = cloister::cli::processEnvironment();
  return cloister::cli::run(arguments, {std::cin, std::cout, std::cerr}, environment,
                            cloister::cli::settingsFiles(environment));
}
