// bench_metering: what the node measures, against what is true; and what measuring costs.
//
//   bench_metering BINARIES accuracy|network|cost [quick]
//
// Exit code 1 when something was lost, doubled or further off than is promised. Times and loads are the machine's, the
// differences are not: they count the same work by two accounts.
#include <cstdio>
#include <exception>
#include <string>

#include "tests/bench/metering_modes.h"

int main(int argc, char** argv) {
  using namespace cloister::bench;
  const std::string mode = argc > 2 ? argv[2] : "";
  const bool quick = argc == 4 && std::string(argv[3]) == "quick";
  if ((mode != "accuracy" && mode != "network" && mode != "cost") || argc > 4 || (argc == 4 && !quick)) {
    std::fputs("usage: bench_metering BINARIES accuracy|network|cost [quick]\n", stderr);
    return 2;
  }
  try {
    const Size size = quick ? Size::quick : Size::whole;
    const bool good = mode == "accuracy"  ? meterAccuracy(argv[1], size)
                      : mode == "network" ? meterNetwork(argv[1], size)
                                          : meterCost(size);
    std::printf("%s: %s\n", mode.c_str(), good ? "held" : "DID NOT HOLD");
    return good ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_metering: %s\n", error.what());
    return 1;
  }
}
