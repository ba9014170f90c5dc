// Compiled AppArmor policy for tests: the smallest that apparmor_parser could have written, and a reader of automata
// that shares nothing with the one under test.
//
// Threads and failures: pure functions; a blob that is not well formed ends a walk in state 0.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cloister::policy {

inline void putBig(std::string& out, std::uint32_t value, std::size_t size) {
  for (std::size_t i = size; i > 0; --i) out += static_cast<char>(value >> (8 * (i - 1)) & 0xffU);
}

inline void putTable(std::string& out, std::uint16_t kind, std::uint16_t width,
                     const std::vector<std::uint32_t>& values) {
  putBig(out, kind, 2);
  putBig(out, width, 2);
  putBig(out, 0, 4);
  putBig(out, static_cast<std::uint32_t>(values.size()), 4);
  for (const std::uint32_t value : values) putBig(out, value, width);
  while (out.size() % 8 != 0) out += '\0';
}

// One profile `name` whose rules match `word` from state 1 on; `room`: entries of its table beyond the last base + 255.
inline std::string profileBlob(const std::string& name, std::string_view word, std::size_t room = 16) {
  const std::size_t states = word.size() + 2;  // none, one before each character, the end
  std::vector<std::uint32_t> base(states, 0);
  std::vector<std::uint32_t> fallback(states, 0);
  // Entry 128 + i for state 1 + i, so that each state has one of its own.
  for (std::size_t i = 0; i < word.size(); ++i) {
    base[1 + i] = static_cast<std::uint32_t>(128 + i) - static_cast<unsigned char>(word[i]);
  }
  const std::size_t entries = *std::max_element(base.begin(), base.end()) + 256 + room;
  std::vector<std::uint32_t> next(entries, 0);
  std::vector<std::uint32_t> check(entries, 0);
  for (std::size_t i = 0; i < word.size(); ++i) {
    check[128 + i] = static_cast<std::uint32_t>(1 + i);
    next[128 + i] = static_cast<std::uint32_t>(2 + i);
  }
  std::string automaton;
  putBig(automaton, 0x1b5e783d, 4);
  putBig(automaton, 24, 4);
  putBig(automaton, 0, 4);  // size, below
  putBig(automaton, 0, 2);
  automaton += std::string("test\0\0\0\0\0\0", 10);
  putTable(automaton, 1, 4, std::vector<std::uint32_t>(states, 0));
  putTable(automaton, 2, 4, base);
  putTable(automaton, 4, 2, fallback);
  putTable(automaton, 8, 2, next);
  putTable(automaton, 3, 2, check);
  std::string size;
  putBig(size, static_cast<std::uint32_t>(automaton.size()), 4);
  automaton.replace(8, 4, size);

  const auto little = [](std::string& out, std::size_t value, std::size_t width) {
    for (std::size_t i = 0; i < width; ++i) out += static_cast<char>(value >> (8 * i) & 0xffU);
  };
  std::string blob("\x04\x08\x00version\x00\x02\x07\x20\x20\x00\x07\x05", 18);
  little(blob, name.size() + 1, 2);
  blob += name + '\0';
  blob += '\x06';
  little(blob, automaton.size() + 4, 4);
  blob += std::string(4, '\0') + automaton + '\x08';
  return blob;
}

class Automaton {
 public:
  explicit Automaton(std::string_view bytes) : bytes_(bytes) {
    std::size_t at = big(4, 4);
    const std::size_t end = big(8, 4);
    while (at + 12 <= end) {
      const std::size_t width = big(at + 2, 2);
      const std::size_t count = big(at + 8, 4);
      tables_.resize(std::max<std::size_t>(tables_.size(), big(at, 2) + 1));
      auto& table = tables_[big(at, 2)];
      for (std::size_t i = 0; i < count; ++i)
        table.push_back(static_cast<std::uint32_t>(big(at + 12 + i * width, width)));
      at += (12 + width * count + 7) / 8 * 8;
    }
  }
  [[nodiscard]] std::size_t states() const { return tables_.at(2).size(); }
  // As the kernel's aa_dfa_match.
  [[nodiscard]] std::size_t walk(std::size_t state, std::string_view text) const {
    for (const char character : text) {
      const std::size_t entry = tables_.at(2).at(state) + static_cast<unsigned char>(character);
      state = tables_.at(3).at(entry) == state ? tables_.at(8).at(entry) : tables_.at(4).at(state);
    }
    return state;
  }

 private:
  [[nodiscard]] std::size_t big(std::size_t at, std::size_t size) const {
    std::size_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value = value << 8U | static_cast<unsigned char>(bytes_.at(at + i));
    return value;
  }
  std::string_view bytes_;
  std::vector<std::vector<std::uint32_t>> tables_;
};

// All of a blob's; they begin where their magic number stands.
inline std::vector<Automaton> automata(const std::string& blob) {
  std::vector<Automaton> found;
  const std::string magic = "\x1b\x5e\x78\x3d";
  for (std::size_t at = blob.find(magic); at != std::string::npos; at = blob.find(magic, at + 1)) {
    found.emplace_back(std::string_view(blob).substr(at));
  }
  return found;
}

}  // namespace cloister::policy
