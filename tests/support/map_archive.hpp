#ifndef LIMBECK_TESTS_SUPPORT_MAP_ARCHIVE_HPP
#define LIMBECK_TESTS_SUPPORT_MAP_ARCHIVE_HPP

#include "catch.hpp"

#include <cstddef>
#include <cstring>
#include <map>
#include <string>

namespace limbeck_test {

/// Names to bytes; the same calls save and load.
class map_archive {
 public:
  bool loading = false;
  template <class V>
  void operator()(const char* name, V& value) {
    if constexpr (requires { value.data(); }) {
      pass(name, value.data(), value.size() * sizeof(*value.data()));
    } else {
      pass(name, &value, sizeof(V));
    }
  }

 private:
  void pass(const char* name, void* data, std::size_t bytes) {
    std::string& stored = stored_[name];
    if (!loading) {
      stored.assign(static_cast<const char*>(data), bytes);
    } else {
      REQUIRE(stored.size() == bytes);
      if (bytes > 0) std::memcpy(data, stored.data(), bytes);
    }
  }
  std::map<std::string, std::string> stored_;
};

}  // namespace limbeck_test

#endif
