// The launcher's ceiling: what a request may ask for, whoever asks. The caller is treated as hostile.
//
// Each check answers the first fault as Error{stage "request", operation "check", path = the field, EINVAL}.
// Threads: pure functions.
#pragma once

#include "sandbox/base/launcher_protocol.h"
#include "sandbox/base/result.h"

namespace cloister::launcher {

// `descriptors`: how many came with the request.
[[nodiscard]] Status check(const LaunchRequest& request, std::size_t descriptors);
[[nodiscard]] Status check(const ExecRequest& request, std::size_t descriptors);
[[nodiscard]] Status check(const EndExecRequest& request);
[[nodiscard]] Status check(const SignalRequest& request);
[[nodiscard]] Status check(const RemoveRequest& request);
[[nodiscard]] Status check(const TenantPutRequest& request);
[[nodiscard]] Status check(const TenantRemoveRequest& request);
[[nodiscard]] Status check(const LayerRequest& request);

}  // namespace cloister::launcher
