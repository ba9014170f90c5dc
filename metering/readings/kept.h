// Kept: states by key, and which of them changed since they were last stored, so that a commit costs what changed and
// not what there is.
//
// A state that is reached by find() or an iterator may be changed too: that is stored with the next change() of its key
// or with changeAll(), and must need nothing that is stored without it.
// Threads: the caller's. Failures: none; a commit that fails is not followed by stored(), and the next one writes all
// that it should have.
#pragma once

#include <map>
#include <set>
#include <utility>

namespace cloister::metering {

template <typename Key, typename State>
class Kept {
 public:
  using Map = std::map<Key, State>;
  using Iterator = typename Map::iterator;

  [[nodiscard]] const Map& all() const { return states_; }
  Iterator begin() { return states_.begin(); }
  Iterator end() { return states_.end(); }
  Iterator find(const Key& key) { return states_.find(key); }

  // Made where there is none.
  State& change(const Key& key) {
    changed_.insert(key);
    return states_[key];
  }
  void changeAll() { allChanged_ = true; }
  // The value: the next one.
  Iterator erase(Iterator state) {
    changed_.insert(state->first);
    return states_.erase(state);
  }
  void clear() {
    states_.clear();
    changed_.clear();
    allChanged_ = false;
    cleared_ = true;
  }

  // What a store that has what stored() last ended must do to have all: dropAll() first, should it be called, then
  // put(key, state) and drop(key). Ends with the first that returns false.
  template <typename DropAll, typename Put, typename Drop>
  [[nodiscard]] bool store(DropAll&& dropAll, Put&& put, Drop&& drop) const {
    if (cleared_ && !dropAll()) return false;
    if (allChanged_) {
      for (const auto& [key, state] : states_) {
        if (!put(key, state)) return false;
      }
    }
    for (const auto& key : changed_) {
      const auto found = states_.find(key);
      if (found == states_.end() ? !drop(key) : !allChanged_ && !put(key, found->second)) return false;
    }
    return true;
  }
  void stored() {
    changed_.clear();
    allChanged_ = cleared_ = false;
  }
  // As it is stored.
  void load(Map states) {
    states_ = std::move(states);
    stored();
  }

 private:
  Map states_;
  std::set<Key> changed_;
  bool allChanged_ = false;
  bool cleared_ = false;
};

}  // namespace cloister::metering
