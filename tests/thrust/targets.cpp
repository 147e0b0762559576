// Targets of device memory: the rows that the host makes of the same numbers, by one thread a row and by several.
#include "catch.hpp"
#include "target_cases.hpp"
#include "thread_team.hpp"

using namespace limbeck_test;
namespace detail = limbeck::detail;

namespace {

const std::vector<std::pair<std::size_t, std::size_t>> shapes = {{9, 2}, {8, 3}, {9, 21}, {8, 103}};

template <class T, class Kind, class Fill>
void check(const Kind& kind, const Fill& fill) {
  complaints found;
  for (const auto& [n, c] : shapes) {
    compare_targets<T>(found, kind, n, c, false, fill);
    compare_targets<T>(found, kind, n, c, true, fill);
  }
  for (const auto& complaint : found) UNSCOPED_INFO(complaint);
  CHECK(found.empty());
}

/// By threads of the host that share each row.
const auto by_teams = [](const auto& side, const auto& t, double at) {
  using T = typename std::remove_cvref_t<decltype(side)>::scalar;
  const std::size_t n = t.samples(), c = t.classes();
  std::vector<T> out(n * c, T(7));
  using Task = detail::fill_task<detail::settled_t<decltype(t)>, T>;
  std::vector<T> memory(Task::rows_of_place * c, T(5));
  detail::fill_arguments<T> in{side.student().memory, detail::view_vector(side.labels()), at};
  const Task task{detail::settled(t, at), lk::rows<T>(out.data(), n, c), in, memory.data(), 1};
  with_team<false>([&](const auto& team) { task.place(team, 0); });
  return out;
};

}  // namespace

TEST_CASE("device: ensembles make the host's rows", "[thrust][target]") {
  check<float>(ensembles{}, by_device);
}
TEST_CASE("device: transformed teachers make the host's rows", "[thrust][target]") {
  check<float>(transforms{}, by_device);
  check<double>(transforms{}, by_device);
}
TEST_CASE("device: ensembles by a team of threads a row", "[thrust][target]") { check<double>(ensembles{}, by_teams); }
TEST_CASE("device: transformed teachers by a team of threads a row", "[thrust][target]") {
  check<float>(transforms{}, by_teams);
}
