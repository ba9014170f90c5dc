// BodyFraming: where a request's body ends, and whether its chunks are written as the standard says (RFC 9112, 7.1).
//
// It looks at the bytes and passes them on as they are. Sizes have up to 8 hexadecimal digits and nothing before them;
// extensions and trailers are passed over within bounds.
// Threads: one. Failures: fault() says what was wrong with the byte at which take() stopped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "api/http_head.h"

namespace cloister::api {

class BodyFraming {
 public:
  BodyFraming() = default;
  explicit BodyFraming(const HttpHead& head);
  // How many of `bytes` belong to the body and are right. Fewer than all: the body ended, or there is a fault.
  [[nodiscard]] std::size_t take(std::string_view bytes);
  [[nodiscard]] bool ended() const { return step_ == Step::end; }
  [[nodiscard]] const std::string& fault() const { return fault_; }
  // Bytes of content so far, without the chunks' frames.
  [[nodiscard]] std::uint64_t content() const { return content_; }

 private:
  enum class Step : std::uint8_t {
    end,
    sized,
    size,
    extension,
    sizeEnd,
    data,
    dataEnd,
    dataEndLine,
    trailer,
    trailerEnd
  };
  [[nodiscard]] std::size_t takeContent(std::size_t offered);
  [[nodiscard]] bool takeFrame(char c);
  [[nodiscard]] bool takeSize(char c);
  [[nodiscard]] bool takeTrailer(char c);
  bool bad(const char* what);

  Step step_ = Step::end;
  std::uint64_t left_ = 0;  // of the sized body or of this chunk
  std::uint64_t content_ = 0;
  unsigned digits_ = 0;
  std::size_t passedOver_ = 0;  // bytes of extensions and trailers
  bool lineEmpty_ = true;
  std::string fault_;
};

}  // namespace cloister::api
