// Relay: carries session frames between a client's and a node's WebSocket, or from nodes' WebSockets to a line sink.
//
// Threads: relay() uses the caller's for one direction and one more for the other; both have ended when it returns.
// What says that it is over is asked by either. Failures: none; a peer that goes away ends the relay for both.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "controlplane/model/session_protocol.h"

namespace Poco::Net {
class StreamSocket;
class WebSocket;
}  // namespace Poco::Net

namespace cloister::api {

using model::kMaxFrameBytes;

// Until either end closes or `over` gives a reason, which the client is told: as an error, the last word of a session.
// So is a client whose node is gone without one.
void relay(Poco::Net::WebSocket& client, Poco::Net::WebSocket& node, const std::function<std::string()>& over);

// Until all nodes have closed, `sink` returns false, the client's connection is gone, or `over`. `sink` gets the
// payload of each channel 1 frame, and an empty text at least every 15 seconds of silence.
void collect(std::vector<std::unique_ptr<Poco::Net::WebSocket>>& nodes, Poco::Net::StreamSocket& client,
             const std::function<bool()>& over, const std::function<bool(const std::string&)>& sink);

// True when the peer has closed its end of an HTTP connection on which nothing more is expected.
[[nodiscard]] bool peerGone(Poco::Net::StreamSocket& socket);

}  // namespace cloister::api
