// Whether two releases of an app run the same: what one has proven, the other need not prove again.
//
// Threads: inside a transaction of the store. Failures: store::StoreError.
#pragma once

#include "controlplane/model/model.h"

namespace cloister::store {
class Store;
}

namespace cloister::reconcile {

// The same image, processes, limits, configuration and secrets. How the image was made does not matter.
[[nodiscard]] bool runAlike(store::Store& store, const model::Release& left, const model::Release& right);

// The release runs what the last one before it that was released ran.
[[nodiscard]] bool isProven(store::Store& store, const model::Release& release);

}  // namespace cloister::reconcile
