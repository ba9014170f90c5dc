// Writes: the two ways in which a request changes something. write(): one transaction around the idempotency key, the
// change itself and its audit entry, so that a crash leaves all of them or none. writeApart(): for a change of another
// database than the store's, which may be slow or away: the key is reserved, the change made, and key and entry are
// finished, each by itself. A crash in between gives the key back with the next start (IdempotencyKeys::abandonAll), so
// the change must be one that may be made twice.
//
// Threads: any; the change of write() runs under the store's lock, so it must be short. Failures: what the change
// throws, after the roll-back and an audit entry with its status; 422 idempotency_mismatch; 409 while the same key is
// at work.
#pragma once

#include <functional>
#include <string>

#include "api/problem.h"
#include "api/request.h"
#include "controlplane/store/store.h"

namespace cloister::api {

// `content` stands for the body in the fingerprint: the body itself, or the digest of an upload.
[[nodiscard]] Answer write(store::Store& store, Request& request, const std::string& content,
                           const std::function<Answer()>& change);
[[nodiscard]] Answer writeApart(store::Store& store, Request& request, const std::string& content,
                                const std::function<Answer()>& change);

// Entry for what is no change of the store but must be on record, like an exec.
void audit(store::Store& store, const Request& request, int status);

// Any exception of a handler as the Problem to answer: store's refusals, blob, archive and manifest errors, the rest
// 500.
[[nodiscard]] Problem toProblem(const std::exception& error);

}  // namespace cloister::api
