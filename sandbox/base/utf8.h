// Text: UTF-8 checked, cut between letters, and made whole again. The one place where Cloister cuts text.
//
//   utf8::valid(header)                  where text comes in: what is no UTF-8 is refused there
//   utf8::shortened(command, 200)        for a message: "…" style marks stand for what is left out
//   utf8::jsonText(out.str())            where text goes out: a document that no reader of ours refuses
//
// A letter is a well-formed sequence of RFC 3629: no overlong form, no surrogate, nothing beyond U+10FFFF.
// Threads: pure functions; a Mender belongs to one thread. Failures: none; every input has an answer.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace cloister::utf8 {

// Bytes of the letter at `at`; 0 when none begins there.
[[nodiscard]] std::size_t letterAt(std::string_view text, std::size_t at);

// How many bytes from the start are whole letters.
[[nodiscard]] std::size_t goodBytes(std::string_view text);
[[nodiscard]] inline bool valid(std::string_view text) {
  return goodBytes(text) == text.size();
}

// The first `most` bytes at most. A letter that would be cut in two is left out whole; so is nothing else.
[[nodiscard]] std::string_view cut(std::string_view text, std::size_t most);
// The same, with "..." behind it when something was left out.
[[nodiscard]] std::string shortened(std::string_view text, std::size_t most);

// Every byte that is part of no letter becomes U+FFFD.
[[nodiscard]] std::string mended(std::string_view text);
// For one line on a screen or in a log: mended, and control characters become U+FFFD too.
[[nodiscard]] std::string printable(std::string_view text);

// A JSON text that its writer may have filled with any bytes: mended, and a NUL in a string, which readers refuse or
// take for its end, becomes U+FFFD.
[[nodiscard]] std::string jsonText(std::string_view document);

// Text without the byte order mark that some editors put in front.
[[nodiscard]] std::string_view withoutMark(std::string_view text);

// mended() for text that comes in pieces: a letter may begin in one and end in the next.
class Mender {
 public:
  [[nodiscard]] std::string feed(std::string_view piece);
  // What was kept back, at the end of the text.
  [[nodiscard]] std::string end();

 private:
  std::string begun_;  // the beginning of a letter: 3 bytes at most
};

}  // namespace cloister::utf8
