// Which layer teaches which: against the tables of the papers.

#include "catch.hpp"

#include <limbeck/layers/layer_map.hpp>

#include <algorithm>
#include <limits>
#include <vector>

namespace lk = limbeck;

namespace {

/// The teacher's layers, counted from 1 as papers do.
std::vector<std::size_t> theirs(const lk::layer_map& map) {
  std::vector<std::size_t> all;
  std::size_t next = 0;
  for (const auto& [mine, other] : map) {
    CHECK(mine == next++);
    all.push_back(other + 1);
  }
  return all;
}
using list = std::vector<std::size_t>;

}  // namespace

TEST_CASE("layer maps are those of the papers", "[layers]") {
  CHECK(theirs(lk::layer_map::evenly(4, 12)) == list{3, 6, 9, 12});  // TinyBERT
  CHECK(theirs(lk::layer_map::evenly(6, 12)) == list{2, 4, 6, 8, 10, 12});
  CHECK(theirs(lk::layer_map::evenly(1, 12)) == list{12});  // this and what follows: arXiv:2502.04499, LAYER_MAP
  CHECK(theirs(lk::layer_map::evenly(2, 12)) == list{6, 12});
  CHECK(theirs(lk::layer_map::evenly(3, 12)) == list{4, 8, 12});
  CHECK(theirs(lk::layer_map::evenly(9, 12)) == list{2, 3, 4, 6, 7, 8, 10, 11, 12});
  CHECK(theirs(lk::layer_map::evenly(12, 12)).back() == 12);
  CHECK(theirs(lk::layer_map::evenly(3, 12).reversed()) == list{12, 8, 4});
  CHECK(theirs(lk::layer_map::all_to_one(3, 5)) == list{6, 6, 6});
  for (std::size_t i = 0; i < 6; ++i) CHECK(lk::layer_map::evenly(6, 24)[i].teacher == (i + 1) * 4 - 1);  // BiStil's attention

  // BiStil's hidden states, i of i f, with the embeddings
  CHECK(lk::layer_map::evenly(3, 12).with_embeddings() == lk::layer_map{{0, 0}, {1, 4}, {2, 8}, {3, 12}});
  for (std::size_t m = 1; m < 20; ++m)
    for (std::size_t k = 1; k < 20; ++k) {
      const auto map = lk::layer_map::evenly(m, k);
      CHECK(map[m - 1].teacher == k - 1);
      CHECK(map.reversed().reversed() == map);
      for (std::size_t i = 1; i < m; ++i) CHECK(map[i].teacher >= map[i - 1].teacher);
    }

  lk::random_stream one(1), again(1), other(2);
  const auto map = lk::layer_map::evenly(9, 12);
  const auto shuffled = map.shuffled(one);
  CHECK(shuffled == map.shuffled(again));
  CHECK(shuffled != map.shuffled(other));
  auto sorted = theirs(shuffled);
  std::sort(sorted.begin(), sorted.end());
  CHECK(sorted == theirs(map));
  CHECK(lk::layer_map::evenly(2, 4).describe() == "0 of 1, 1 of 3");
}

TEST_CASE("the nearest layers", "[layers]") {
  const double apart[2][3] = {{3, 1, 2}, {5, 5, 0}};
  const auto distance = [&](std::size_t i, std::size_t j) { return apart[i][j]; };
  CHECK(lk::layer_map::nearest(2, 3, 2, distance) == lk::layer_map{{0, 1}, {0, 2}, {1, 2}, {1, 0}});
  CHECK(lk::layer_map::nearest(2, 3, 3, distance).size() == 6);
  CHECK_THROWS_WITH(lk::layer_map::nearest(2, 3, 4, distance),
                    "limbeck: k of layer_map::nearest is 4, expected 1 to the 3 layers of the teacher");
  CHECK_THROWS_WITH(lk::layer_map::nearest(2, 3, 1, [](std::size_t i, std::size_t) {
                      return i == 1 ? std::numeric_limits<double>::quiet_NaN() : 0.0;
                    }),
                    "limbeck: the distance of layer_map::nearest is nan between the student's layer 1 and the teacher's 0, "
                    "expected a number");
  CHECK_THROWS_WITH(lk::layer_map::evenly(0, 3),
                    "limbeck: a layer_map is of 0 layers of the student and 3 of the teacher, expected at least 1 of both");
}
