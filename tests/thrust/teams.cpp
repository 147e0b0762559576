// The row's algorithm with several threads a row, as warps and blocks run it: here they are threads of the host. A step in
// which the threads of a team part ways ends the test; a class that two of them take, or none, shows; and under
// ThreadSanitizer, what one of them reads while another writes it.
#include "catch.hpp"
#include "device_cases.hpp"
#include "thread_team.hpp"

using namespace limbeck_test;
namespace detail = limbeck::detail;

namespace {

enum class kind { lanes, block, cluster };

/// How a team reads rows: as they lie, or from its own memory.
template <kind Kind, class T, class E>
void compare_team(complaints& out, const std::string& name, const E& objective, const batch<T>& b) {
  std::vector<T> expected(b.size()), g(b.size(), T(-7));
  const lk::evaluation host =
      objective(b.s(), b.t(), b.labels, lk::unread_is_fine, lk::into(lk::rows<T>(expected.data(), b.samples, b.classes)));

  const auto terms = detail::flatten(objective, detail::context<>{});
  using Terms = std::remove_cv_t<decltype(terms)>;
  using Mode = detail::sweep_mode<true, false, false>;
  detail::problem<T> in;
  in.student = b.s();
  in.teacher = b.t();
  in.gradient = lk::rows<T>(g.data(), b.samples, b.classes);
  in.labels = detail::view_vector(b.labels);
  detail::device_task<T, Terms, Mode> task{.in = in, .terms = terms};
  detail::device_outcome outcome{};
  std::vector<double> values(b.samples);
  task.out = &outcome;
  task.values = values.data();
  detail::set_up(task);
  task.staged = Kind != kind::lanes || b.classes > 50;
  constexpr std::size_t line = 16 / sizeof(T);
  if constexpr (Kind == kind::cluster) task.stride = (task.padded / line + 1) / 2 * line;
  std::vector<T> memory[2];
  for (auto& part : memory) part.resize(task.rows_of_memory() * task.stride + line);
  const std::size_t moved = with_team<Kind != kind::lanes>([&](const auto& team) {
    const auto weigh = task.add_rows(team, 0, b.samples, false);
    if (team.rank() == 0) task.conclude(weigh, false);
    team.wait();
    for (std::size_t r = 0; r < b.samples; ++r) {
      if constexpr (Kind == kind::cluster) {
        const cluster_team halves(team, task.stride);
        task.row(halves, r, memory[halves.half()].data() - static_cast<std::ptrdiff_t>(halves.part().first));
      } else {
        task.row(team, r, memory[0].data());
      }
      team.wait();
    }
    const auto sum = task.add_rows(team, 0, b.samples, true);
    if (team.rank() == 0) task.conclude(sum, true);
  });
  if (outcome.fault_code != 0) out.push_back(name + ": a fault");
  lk::evaluation device;
  device.loss = outcome.loss;
  device.weight = outcome.weight;
  device.rows = static_cast<std::size_t>(outcome.rows);
  compare_evaluations<T>(out, name, host, device);
  compare_rows(out, name, expected, g, b.classes);
  // the floor: each tensor that is read, once, and the gradient, written once
  using Plan = typename detail::plan_of<Terms>::type;
  const std::size_t floor = b.size() * sizeof(T) * (Plan::teacher ? 3 : 2);
  if (task.staged && moved > floor) out.push_back(name + ": " + std::to_string(moved) + " bytes of " + std::to_string(floor));
  if (moved < b.classes) out.push_back(name + ": bytes are not counted");
}

template <kind Kind, class T>
void compare_teams(complaints& out) {
  const std::vector<std::pair<std::size_t, std::size_t>> shapes = {{3, 2}, {4, 3}, {3, 20}, {2, 21}, {2, 103}, {2, 400}};
  for (const auto& [n, c] : shapes) {
    auto b = random_batch<T>(n, c, 31, 3);
    b.labels[n - 1] = -100;
    compare_team<Kind>(out, at("four terms", n, c),
                       0.1 * lk::cross_entropy{.smoothing = 0.05} + lk::dkd{} +
                           lk::at_temperature(4.0, lk::forward_kl{} + lk::jensen_shannon{}),
                       b);
    compare_team<Kind>(out, at("labels alone", n, c), lk::objective(lk::cross_entropy{}), b);
    compare_team<Kind>(out, at("logits", n, c), lk::objective(lk::mse{}), b);
    if (c < 3) continue;
    b.student[1] = -infinity<T>;
    b.teacher[2] = -infinity<T>;
    compare_team<Kind>(out, at("masked", n, c), lk::at_temperature(2.0, lk::forward_kl{} + lk::reverse_kl{}), b);
    const auto close = random_batch<T>(n, c, 33, 2, 1e-4);
    compare_team<Kind>(out, at("close", n, c), lk::at_temperature(2.0, lk::forward_kl{}), close);
  }
}

}  // namespace

TEST_CASE("device: a team of threads a row", "[thrust]") {
  complaints found;
  compare_teams<kind::lanes, float>(found);
  compare_teams<kind::block, double>(found);
  compare_teams<kind::cluster, float>(found);
  for (const auto& c : found) UNSCOPED_INFO(c);
  CHECK(found.empty());
}

TEST_CASE("device: a fault ends a row for all threads of its team", "[thrust]") {
  auto b = random_batch<float>(6, 50);
  b.teacher[3 * 50 + 7] = std::numeric_limits<float>::quiet_NaN();
  b.labels[4] = 50;
  const auto terms = detail::flatten(lk::forward_kl{} + lk::cross_entropy{}, detail::context<>{});
  detail::problem<float> in;
  in.student = b.s();
  in.teacher = b.t();
  in.labels = detail::view_vector(b.labels);
  detail::device_task<float, std::remove_cv_t<decltype(terms)>, detail::sweep_mode<false, false, false>> task{.in = in,
                                                                                                             .terms = terms};
  detail::device_outcome outcome{};
  std::vector<double> values(6);
  task.out = &outcome;
  task.values = values.data();
  detail::set_up(task);
  with_team<true>([&](const auto& team) {
    for (std::size_t r = 6; r-- > 0;) task.row(team, r, static_cast<float*>(nullptr));
    team.wait();
    const auto sum = task.add_rows(team, 0, 6, true);
    if (team.rank() == 0) task.conclude(sum, true);
  });
  CHECK(outcome.fault_row == 3);
  CHECK(outcome.fault_column == 7);
  CHECK(outcome.loss != outcome.loss);
}

TEST_CASE("device: threads of a team that part ways are found", "[thrust]") {
  const auto meet = [](auto&& f) { with_team<true>(f); };
  CHECK_THROWS_AS(meet([](const auto& team) {
                    if (team.rank() == 3) team.wait();
                    else detail::sum_over(team, 1.0);
                  }),
                  parted_ways);
  CHECK_THROWS_AS(meet([](const auto& team) {
                    if (team.rank() == 0) detail::sum_over(team, 1.0);
                    else detail::sum_over(team, 1.0f);
                  }),
                  parted_ways);
  CHECK_THROWS_AS(meet([](const auto& team) {
                    if (team.rank() > 1) detail::highest_over(team, 1.0);
                  }),
                  parted_ways);
}
