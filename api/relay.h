// Relay: carries session frames between a client's and a node's WebSocket, or from nodes' WebSockets to a line sink.
//
// Threads: relay() uses the caller's for one direction and one more for the other; both have ended when it returns.
// Failures: none; a peer that goes away ends the relay for both.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace Poco::Net {
class StreamSocket;
class WebSocket;
}  // namespace Poco::Net

namespace cloister::api {

inline constexpr int kMaxFrameBytes = 1 << 20;

// Until either end closes or `stopping` is set.
void relay(Poco::Net::WebSocket& client, Poco::Net::WebSocket& node, const std::atomic<bool>& stopping);

// Until all nodes have closed, `sink` returns false, the client's connection is gone, or `stopping`. `sink` gets the
// payload of each channel 1 frame, and an empty text at least every 15 seconds of silence.
void collect(std::vector<std::unique_ptr<Poco::Net::WebSocket>>& nodes, Poco::Net::StreamSocket& client,
             const std::atomic<bool>& stopping, const std::function<bool(const std::string&)>& sink);

// True when the peer has closed its end of an HTTP connection on which nothing more is expected.
[[nodiscard]] bool peerGone(Poco::Net::StreamSocket& socket);

}  // namespace cloister::api
