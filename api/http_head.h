// HttpHead: a request's head, read strictly (RFC 9112) from bytes as they come, before anything else looks at them.
//
// What two readers could understand in two ways is refused, because a proxy before this server may be the other reader:
// two lengths, a length beside a coding, a coding other than chunked, folded lines, ends of lines that are no CR LF,
// blanks before a colon, control characters. After a refusal nothing more can be read from the connection.
// Threads: one a reader. Failures: HeadRefusal with the status of the standard and a reason for people.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace cloister::api {

// The HTTP library behind this reader has the same bounds a field.
inline constexpr std::size_t kMaxHead = 64UL << 10U;
inline constexpr std::size_t kMaxTarget = 16'000;
inline constexpr std::size_t kMaxFields = 100;
inline constexpr std::size_t kMaxFieldName = 256;
inline constexpr std::size_t kMaxFieldValue = 8'000;

enum class BodyKind : std::uint8_t { none, sized, chunked };

struct HttpHead {
  std::string method;
  std::string target;  // as sent; of a whole URL, what follows its host
  BodyKind body = BodyKind::none;
  std::uint64_t length = 0;  // of a sized body
  bool expectsContinue = false;
  bool upgrade = false;
  std::string authorization;
  std::string bytes;      // what the HTTP library reads: the head, with `target` in its first line
  std::size_t taken = 0;  // how many of the bytes that came it was
};

struct HeadRefusal {
  int status = 400;
  std::string code;
  std::string detail;
};

enum class HeadState : std::uint8_t { more, whole, refused };

class HeadReader {
 public:
  // `bytes` is all that came since the last head: the same beginning each time, and longer.
  [[nodiscard]] HeadState read(std::string_view bytes);
  [[nodiscard]] const HttpHead& head() const { return head_; }
  [[nodiscard]] const HeadRefusal& refusal() const { return refusal_; }

 private:
  [[nodiscard]] HeadState refuse(int status, std::string code, std::string detail);
  [[nodiscard]] HeadState parse(std::string_view bytes);
  [[nodiscard]] bool parseRequestLine(std::string_view line);
  [[nodiscard]] bool parseTarget(std::string_view target);
  [[nodiscard]] bool parseField(std::string_view line);
  [[nodiscard]] bool take(std::string_view name, std::string_view value);
  [[nodiscard]] bool takeLength(std::string_view value);
  [[nodiscard]] bool takeCoding(std::string_view value);
  [[nodiscard]] bool judgeWhole();
  bool bad(std::string detail);

  std::size_t scanned_ = 0;
  std::size_t lineStart_ = 0;
  bool firstLine_ = true;
  HttpHead head_;
  HeadRefusal refusal_;
  std::string version_;
  std::size_t fields_ = 0;
  int hosts_ = 0;
  bool sized_ = false;
  bool coded_ = false;
};

}  // namespace cloister::api
