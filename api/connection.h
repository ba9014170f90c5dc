// Connection: a client's socket as the HTTP library sees it: one request at a time, never a byte of the next.
//
// The waiting room (waiting_room.h) fills `input` without blocking and reads the head; then a worker lets the library
// read the same bytes through receiveBytes(): the head, and the body up to its end, checked on the way. What is sent
// during a short request is kept until the request is done, so that a slow reader holds no worker.
//
//   bytes that came:  [ head | body ......... | next request ... ]
//   the library:        head_  framing_ ends it
//
// Threads: one at a time; the room and the workers hand it over. Failures: Poco exceptions, as of any socket; a body
// that is not whole is told by bodyFault().
#pragma once

#include <Poco/AutoPtr.h>
#include <Poco/Net/StreamSocketImpl.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "api/body_framing.h"
#include "api/http_head.h"

namespace cloister::api {

// What the client sends is read as fast as it sends, but it must send.
struct BodyPace {
  std::chrono::seconds grace{20};  // before the rate counts
  std::uint64_t bytesPerSecond = 1024;
  std::chrono::seconds silence{30};  // between two pieces
  std::chrono::hours whole{2};
};

class Connection : public Poco::Net::StreamSocketImpl {
 public:
  using Ptr = Poco::AutoPtr<Connection>;
  using Clock = std::chrono::steady_clock;
  // Takes the descriptor. `source` is who it came from, for counting.
  Connection(int fd, std::string source);

  enum class Fill : std::uint8_t { more, full, ended };
  // Without blocking, until `most` bytes are kept.
  [[nodiscard]] Fill fill(std::size_t most);
  [[nodiscard]] HeadState readHead();
  [[nodiscard]] const HttpHead& head() const { return reader_.head(); }
  [[nodiscard]] const HeadRefusal& refusal() const { return reader_.refusal(); }
  // Nothing of the next request is there.
  [[nodiscard]] bool idle() const { return input_.size() == inputAt_; }
  // How far the body has come: whole, faulty, or with more content than `most`: then reading it will not wait.
  [[nodiscard]] bool bodyIsThere(std::uint64_t most);
  [[nodiscard]] bool bodyIsWhole();
  [[nodiscard]] const BodyFraming& incoming() const { return ahead_; }

  // For the library, from the head's first byte on; again, if the request is looked at a second time.
  void beginRequest();
  // Over the rest of the body, if it is here. False: it is not, and would be taken for the next request.
  [[nodiscard]] bool bodyIsRead();
  // The same, and ready for the next head.
  [[nodiscard]] bool endRequest();
  // Why the body could not be read to its end; empty when it was.
  [[nodiscard]] std::string bodyFault() const;
  // From now on as it comes: the request is a long one, and what is sent goes out at once.
  void goDirect();

  // Output that waits. False: the peer is gone.
  void queue(std::string_view bytes) { output_ += bytes; }
  [[nodiscard]] bool flush();  // what can be sent without blocking
  [[nodiscard]] bool flushed() const { return outputAt_ == output_.size(); }
  // Takes and forgets what comes. False: the end.
  [[nodiscard]] bool discard();
  [[nodiscard]] std::size_t discarded() const { return discarded_; }
  void closeSending();
  // Its end will be a reset: what the client sent or would send is no matter.
  void resetAtEnd();
  // Ends whatever another thread does with it.
  void hangUp();

  [[nodiscard]] const std::string& source() const { return source_; }
  [[nodiscard]] int descriptor() const { return sockfd(); }
  // Who it acts for, once a request was authenticated: as Workers count callers.
  std::string caller;
  bool judged = false;   // this request has been counted against its caller's rate
  bool awaited = false;  // its body was waited for already: more of it will not come

  using StreamSocketImpl::receiveBytes;
  using StreamSocketImpl::sendBytes;
  int receiveBytes(void* buffer, int length, int flags) override;
  int sendBytes(const void* buffer, int length, int flags) override;
  int available() override;

 protected:
  ~Connection() override;

 private:
  [[nodiscard]] std::string_view rest() const { return std::string_view(input_).substr(inputAt_); }
  int give(void* buffer, std::size_t length, std::string_view from);
  void awaitBody();

  std::string source_;
  std::string input_;
  std::size_t inputAt_ = 0;
  std::string output_;
  std::size_t outputAt_ = 0;
  HeadReader reader_;
  std::size_t headAt_ = 0;  // of the head for the library
  BodyFraming framing_;     // what the library has read of the body
  BodyFraming ahead_;       // what has come of it
  std::size_t aheadAt_ = 0;
  bool direct_ = false;
  BodyPace pace_;
  Clock::time_point bodySince_;
  std::uint64_t bodyBytes_ = 0;
  std::size_t discarded_ = 0;
};

}  // namespace cloister::api
