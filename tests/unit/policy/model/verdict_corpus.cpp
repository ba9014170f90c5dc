#include "tests/unit/policy/model/verdict_corpus.h"

#include <elf.h>
#include <linux/audit.h>

#include <set>

namespace cloister::policy {
namespace {

using Arguments = std::array<std::uint64_t, 6>;
using Values = std::set<std::uint64_t>;

constexpr std::uint32_t kX32 = 0x40000000;
constexpr std::uint64_t kAllOnes = ~0ULL;
constexpr std::uint64_t kLowOnes = 0xffffffffULL;
constexpr unsigned kHalf = 32;

struct Candidates {
  std::array<Values, 6> own;     // the rules' values, zero, all ones
  std::array<Values, 6> around;  // and all that differ from a rule's in one bit
};

Candidates candidatesOf(const SeccompProfile& profile, std::uint32_t number) {
  Candidates candidates;
  for (const auto& rule : profile.rules) {
    if (rule.number != number) continue;
    for (const auto& test : rule.tests) {
      Values& own = candidates.own.at(test.argument);
      Values& around = candidates.around.at(test.argument);
      own.insert({0, kLowOnes, kAllOnes, test.value, test.value | (kLowOnes & ~std::uint64_t{test.mask})});
      for (unsigned bit = 0; bit < kHalf; ++bit) around.insert(test.value ^ (1ULL << bit));
      around.insert(own.begin(), own.end());
    }
  }
  for (unsigned i = 0; i < candidates.own.size(); ++i) {
    if (!candidates.own.at(i).empty()) continue;
    candidates.own.at(i) = candidates.around.at(i) = {0};
  }
  return candidates;
}

template <typename Visit>
void product(const std::array<Values, 6>& values, Arguments& chosen, std::size_t from, const Visit& visit) {
  if (from == values.size()) {
    visit(chosen);
    return;
  }
  for (const std::uint64_t value : values.at(from)) {
    chosen.at(from) = value;
    product(values, chosen, from + 1, visit);
  }
}

}  // namespace

std::vector<std::uint32_t> corpusNumbers() {
  std::set<std::uint32_t> numbers;
  for (std::uint32_t number = 0; number <= 600; ++number) numbers.insert({number, kX32 | number, ~number});
  for (unsigned bit = 0; bit < kHalf; ++bit) numbers.insert({1U << bit, (1U << bit) - 1, (1U << bit) + 1});
  return {numbers.begin(), numbers.end()};
}

const std::vector<std::uint32_t>& corpusArchitectures() {
  static const std::vector<std::uint32_t> kAll = {AUDIT_ARCH_X86_64,
                                                  AUDIT_ARCH_I386,
                                                  AUDIT_ARCH_ARM,
                                                  AUDIT_ARCH_AARCH64,
                                                  AUDIT_ARCH_RISCV64,
                                                  AUDIT_ARCH_S390X,
                                                  AUDIT_ARCH_PPC64,
                                                  EM_X86_64,
                                                  0,
                                                  0xffffffffU,
                                                  AUDIT_ARCH_X86_64 ^ 1U};
  return kAll;
}

void forEachArguments(const SeccompProfile& profile, std::uint32_t number,
                      const std::function<void(const Arguments&)>& visit) {
  const Candidates candidates = candidatesOf(profile, number);
  Arguments chosen{};
  product(candidates.around, chosen, 0, visit);
  visit({kAllOnes, kAllOnes, kAllOnes, kAllOnes, kAllOnes, kAllOnes});
  product(candidates.own, chosen, 0, [&](const Arguments& plain) {
    for (std::size_t i = 0; i < plain.size(); ++i) {
      Arguments high = plain;
      for (unsigned bit = kHalf; bit < 2 * kHalf; ++bit) {
        high.at(i) = plain.at(i) ^ (1ULL << bit);
        visit(high);
      }
      high.at(i) = plain.at(i) | (kLowOnes << kHalf);
      visit(high);
    }
  });
}

}  // namespace cloister::policy
