// Completion scripts of the shells, made from the tree of verbs itself.
//
// Threads and failures: a function of its arguments.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace cloister::cli {

enum class Shell { bash, zsh, fish };
[[nodiscard]] std::string completionScript(const CLI::App& root, Shell shell);

}  // namespace cloister::cli
