// The last lines that an app wrote before its operation failed.
//
// Threads: one. Failures: none; without the lines the failure stands alone.
#pragma once

#include <Poco/JSON/Object.h>

#include "api/cli/commands.h"

namespace cloister::cli {

// Of the instance that the failure names, on the error stream; where they are read with `cloister logs` when they
// cannot be had. Nothing when it names none.
void showLastLines(Context& context, const Poco::JSON::Object& operation);

}  // namespace cloister::cli
