// Feeds a fuzz target inputs that are the same in every run: seeds, and mutations of them. With CLOISTER_FUZZ_SEEDS, a
// directory, the seeds are also written there, below the target's name, for libFuzzer to begin with.
//
// Threads: one. Failures: gtest's.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace cloister::fuzz {

using Target = int (*)(const std::uint8_t*, std::size_t);

// One of the mutations that libFuzzer makes, too. Modulo instead of a distribution: the same bytes with every library.
inline std::string mutated(std::string input, const std::vector<std::string>& seeds, std::mt19937& random) {
  const auto below = [&](std::size_t bound) { return bound == 0 ? 0 : random() % bound; };
  for (std::size_t rounds = 1 + below(4); rounds > 0; --rounds) {
    const std::size_t at = below(input.size());
    switch (below(7)) {
      case 0:
        if (!input.empty()) input[at] = static_cast<char>(random() & 0xffU);
        break;
      case 1:
        if (!input.empty()) input[at] = static_cast<char>(static_cast<unsigned char>(input[at]) ^ (1U << below(8)));
        break;
      case 2:
        input.resize(at);
        break;
      case 3:
        input.erase(at, 1 + below(8));
        break;
      case 4:
        input.insert(at, 1 + below(8), static_cast<char>(random() & 0xffU));
        break;
      case 5:
        input.insert(at, input.substr(below(input.size()), below(32)));
        break;
      default: {
        const std::string& other = seeds.at(below(seeds.size()));
        input = input.substr(0, at) + other.substr(below(other.size()));
      }
    }
  }
  return input;
}

inline void writeSeeds(const std::filesystem::path& directory, const std::vector<std::string>& seeds) {
  std::filesystem::create_directories(directory);
  for (std::size_t i = 0; i < seeds.size(); ++i) {
    std::ofstream out(directory / ("seed-" + std::to_string(i)), std::ios::binary);
    out << seeds[i];
    EXPECT_TRUE(out.flush()) << directory;
  }
}

inline void feed(const std::string& name, Target target, const std::vector<std::string>& seeds, std::size_t count) {
  if (const char* directory = std::getenv("CLOISTER_FUZZ_SEEDS")) {
    writeSeeds(std::filesystem::path(directory) / name, seeds);
  }
  std::mt19937 random(20'240'501);
  const auto run = [&](const std::string& input) {
    EXPECT_EQ(target(reinterpret_cast<const std::uint8_t*>(input.data()), input.size()), 0);
  };
  run("");
  for (const auto& seed : seeds) run(seed);
  for (std::size_t i = 0; i < count; ++i) run(mutated(seeds.at(i % seeds.size()), seeds, random));
}

}  // namespace cloister::fuzz
