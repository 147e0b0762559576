#include "catch.hpp"

#include <limbeck/limbeck.hpp>

#include <cstdint>
#include <utility>

TEST_CASE("a workspace grows and never shrinks") {
  limbeck::workspace ws;
  CHECK(ws.size() == 0);
  const auto* first = ws.reserve(1000);
  CHECK(reinterpret_cast<std::uintptr_t>(first) % 64 == 0);
  CHECK(ws.size() >= 1000);
  CHECK(ws.reserve(10) == first);
  CHECK(ws.size() >= 1000);
  ws.reserve(5000);
  CHECK(ws.size() >= 5000);
  limbeck::workspace moved = std::move(ws);
  CHECK(moved.size() >= 5000);
  // the one moved from is as good as new: it must not believe that it still holds memory
  CHECK(ws.size() == 0);
  CHECK(ws.reserve(100) != nullptr);
}
