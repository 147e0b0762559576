// Losses of whole rows by the threads of a team, against one thread: the same numbers but for the order of sums.
#include "catch.hpp"
#include "thread_team.hpp"

#include <limbeck/engine/deviation.hpp>
#include <limbeck/engine/top_classes.hpp>
#include <limbeck/features.hpp>
#include <limbeck/targets.hpp>
#include <limbeck/thrust.hpp>

#include <thrust/copy.h>

#include <cmath>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

namespace lk = limbeck;
namespace detail = limbeck::detail;
using namespace limbeck_test;

namespace {

using complaints = std::vector<std::string>;

template <class T>
constexpr T inf = std::numeric_limits<T>::infinity();

template <class T>
struct example {
  std::string name;
  std::vector<T> student, teacher;
  std::int64_t label = 0;
  T temperature = T(1);
};

template <class T>
std::vector<T> normal(std::size_t n, unsigned seed, double size = 3) {
  std::mt19937 bits(seed);
  std::normal_distribution<double> draw(0, size);
  std::vector<T> x(n);
  for (T& v : x) v = static_cast<T>(draw(bits));
  return x;
}

/// Ordinary and extreme rows.
template <class T>
std::vector<example<T>> examples() {
  std::vector<example<T>> all;
  for (const std::size_t n : {1u, 2u, 3u, 5u, 17u, 42u}) {
    const auto at = [&](const char* what) { return std::string(what) + " of " + std::to_string(n); };
    const auto last = static_cast<std::int64_t>(n) - 1;
    const example<T> plain{at("normal"), normal<T>(n, 1), normal<T>(n, 2), last / 2, T(2)};
    all.push_back(plain);
    all.push_back({at("label first"), plain.student, plain.teacher, 0});
    all.push_back({at("label last"), plain.student, plain.teacher, last, T(0.5)});
    all.push_back({at("agreement"), plain.student, plain.student, last});
    all.push_back({at("constants"), std::vector<T>(n, T(1)), std::vector<T>(n, T(-2)), last / 2});
    auto ties = plain;
    for (T& v : ties.student) v = std::round(v);
    for (T& v : ties.teacher) v = std::round(v);
    ties.name = at("ties");
    all.push_back(ties);
    all.push_back({at("far"), normal<T>(n, 3, 1e4), normal<T>(n, 4, 1e4), last});
    if (n < 5) continue;
    auto masked = plain;
    for (std::size_t c = 1; c < n; c += 3) masked.student[c] = masked.teacher[c] = -inf<T>;
    masked.name = at("masked"), masked.label = 2;
    all.push_back(masked);
    auto end = ties;
    for (std::size_t c = n / 2; c < n; ++c) end.student[c] = end.teacher[c] = -inf<T>;
    end.name = at("padded"), end.label = 0;
    all.push_back(end);
    auto student = plain, teacher = plain;
    student.student[3] = -inf<T>, teacher.teacher[3] = -inf<T>;
    student.name = at("masked by the student"), teacher.name = at("masked by the teacher");
    all.push_back(student);
    all.push_back(teacher);
    auto label = plain;
    label.name = at("label masked"), label.label = 0, label.student[0] = label.teacher[0] = -inf<T>;
    all.push_back(label);
    auto one = plain;
    for (std::size_t c = 0; c < n; ++c)
      if (c != 2) one.student[c] = one.teacher[c] = -inf<T>;
    one.name = at("one class left"), one.label = 2;
    all.push_back(one);
  }
  return all;
}

template <class T>
bool near(T a, T b, T scale, double ulps) {
  if (a == b || (a != a && b != b)) return true;
  return std::abs(static_cast<double>(a) - static_cast<double>(b)) <=
         ulps * static_cast<double>(std::numeric_limits<T>::epsilon()) * static_cast<double>(scale);
}

template <bool Block, class T, class Loss>
void compare_row(complaints& out, const std::string& loss_name, const Loss& loss, const example<T>& of, std::size_t index = 0) {
  static_assert(lk::device_rowwise<Loss, T>);
  const std::size_t n = of.student.size(), widest = std::max(n, of.teacher.size());
  struct outcome {
    T value;
    std::vector<T> gradient;
  };
  const auto call = [&]<class Team>(const Team& team, T* scratch, T* gradient) {
    constexpr auto rows = detail::scratch_rows<Loss>();
    lk::row<T, Team> x{.student = of.student,
                       .teacher = of.teacher,
                       .index = index,
                       .label = of.label,
                       .student_temperature = of.temperature,
                       .teacher_temperature = of.temperature,
                       .scratch = {scratch, rows * widest},
                       .gradient = {},
                       .scale = T(0.75),
                       .team = team};
    if (gradient) x.gradient = {gradient, n};
    return loss(x);
  };
  const auto by_team = [&](bool wants_gradient) {
    outcome o{T(0), std::vector<T>(n, T(0.25))};
    std::vector<T> scratch(detail::scratch_rows<Loss>() * widest, std::numeric_limits<T>::quiet_NaN());
    std::vector<T> values(meeting::team_size);
    with_team<Block>([&](const thread_team<Block>& team) {
      values[team.rank()] = call(team, scratch.data(), wants_gradient ? o.gradient.data() : nullptr);
    });
    o.value = values[0];
    for (const T v : values)
      if (!(v == o.value) && v == v) out.push_back(loss_name + ", " + of.name + ": threads return different values");
    return o;
  };
  outcome host{T(0), std::vector<T>(n, T(0.25))};
  std::vector<T> scratch(detail::scratch_rows<Loss>() * widest, std::numeric_limits<T>::quiet_NaN());
  host.value = call(detail::single_team{}, scratch.data(), host.gradient.data());

  const std::string name = loss_name + ", " + of.name;
  const outcome team = by_team(true);
  if (!near(host.value, team.value, std::abs(host.value) + T(0.01), 100))
    out.push_back(name + ": " + std::to_string(host.value) + " by one thread, " + std::to_string(team.value) + " by a team");
  if (of.name.starts_with("normal") && !near(team.value, by_team(false).value, T(0), 0))
    out.push_back(name + ": the value alone differs");
  T scale(0);
  for (const T g : host.gradient) scale = std::abs(g) > scale ? std::abs(g) : scale;
  for (std::size_t c = 0; c < n; ++c) {
    if (near(host.gradient[c], team.gradient[c], scale, 100)) continue;
    out.push_back(name + ": the gradient of class " + std::to_string(c) + " is " + std::to_string(host.gradient[c]) +
                  " by one thread, " + std::to_string(team.gradient[c]) + " by a team");
    return;
  }
}

template <bool Block, class T>
void compare_losses(complaints& out) {
  for (const auto& e : examples<T>()) {
    compare_row<Block>(out, "margin_mse", lk::margin_mse{}, e);
    compare_row<Block>(out, "uld", lk::uld{}, e);
    compare_row<Block>(out, "adaptive_kl", lk::adaptive_kl{}, e);
    compare_row<Block>(out, "label_pairs", lk::label_pairs{}, e);
    compare_row<Block>(out, "pld", lk::pld{.temperature = 2}, e);
    compare_row<Block>(out, "bild", lk::bild{}, e);
    compare_row<Block>(out, "bild, reverse, by the knee", lk::bild{.k = 9, .leader = lk::lead::student, .reverse = true, .knee = true}, e);
    compare_row<Block>(out, "reranked", lk::reranked{}, e);
    compare_row<Block>(out, "reranked, prefix", lk::reranked{.k = 4, .prefix = true}, e);
    compare_row<Block>(out, "cosine_loss", lk::cosine_loss{}, e);
    compare_row<Block>(out, "row_distance", lk::row_distance{}, e);
    compare_row<Block>(out, "pseudo_huber", lk::pseudo_huber{.scale = 0.3}, e);
  }
  example<T> parameters{"normal logarithms", normal<T>(42, 8, 1), normal<T>(42, 9, 1)};
  for (auto* side : {&parameters.student, &parameters.teacher})
    for (T& v : *side) v = std::exp(v);
  compare_row<Block>(out, "beta_kl", lk::beta_kl{}, parameters);
  const lk::rows<const T> weights(parameters.teacher.data(), 2, 21);
  compare_row<Block>(out, "element_weights", lk::element_weights(weights, lk::barron{.alpha = 0.5}),
                     example<T>{"normal features", normal<T>(21, 5), normal<T>(21, 6)}, 1);
  const std::vector<std::pair<std::size_t, std::size_t>> widths = {{1, 7}, {3, 40}, {40, 3}};
  for (const auto& [n, m] : widths)
    compare_row<Block>(out, "uld", lk::uld{},
                       example<T>{"widths " + std::to_string(n) + ", " + std::to_string(m), normal<T>(n, 5), normal<T>(m, 6)});
}

/// Three rows: the first and the last are there to be passed over.
template <class T>
lk::sparse_store<T> three_rows(const example<T>& e, std::size_t kept, bool drawn) {
  std::vector<T> all;
  for (int i = 0; i < 3; ++i) all.insert(all.end(), e.teacher.begin(), e.teacher.end());
  const lk::rows<const T> t(all.data(), 3, e.teacher.size());
  if (drawn) return lk::draw_sparse(t, kept, lk::random_stream(3), 1, static_cast<double>(e.temperature));
  return lk::keep_top(t, kept, static_cast<double>(e.temperature));
}

template <bool Block, class T>
void compare_sparse(complaints& out) {
  for (const auto& e : examples<T>()) {
    for (const std::size_t kept : {1u, 4u, 50u}) {
      const auto store = three_rows(e, kept, false);
      const std::string of = " of " + std::to_string(kept) + " kept";
      compare_row<Block>(out, "sparse_kl" + of, lk::sparse_kl(store), e, 1);
      compare_row<Block>(out, "sparse jensen_shannon" + of, lk::sparse_divergence(lk::jensen_shannon{}, store), e, 1);
    }
    const auto drawn = three_rows(e, 20, true);
    compare_row<Block>(out, "sparse_kl of draws", lk::sparse_kl(drawn), e, 1);
  }
  lk::sparse_store<T> nothing = three_rows(examples<T>().back(), 1, false);
  nothing.ids.clear(), nothing.log_weights.clear();
  nothing.offsets.assign(4, 0), nothing.log_tails.assign(3, T(0));
  compare_row<Block>(out, "sparse_kl of nothing", lk::sparse_kl(nothing), examples<T>().back(), 1);
}

}  // namespace

TEST_CASE("row losses: a team and one thread agree", "[thrust]") {
  complaints found;
  compare_losses<false, float>(found);
  compare_losses<true, double>(found);
  for (const auto& c : found) UNSCOPED_INFO(c);
  CHECK(found.empty());
}

TEST_CASE("row losses: a team and one thread agree on sparse rows", "[thrust]") {
  complaints found;
  compare_sparse<false, float>(found);
  compare_sparse<true, double>(found);
  for (const auto& c : found) UNSCOPED_INFO(c);
  CHECK(found.empty());
}

TEST_CASE("row losses: a team sorts rows of any length", "[thrust]") {
  for (std::size_t n = 0; n < 40; ++n) {
    std::vector<float> x = normal<float>(n, static_cast<unsigned>(n) + 7, 4);
    for (float& v : x) v = std::round(v);
    std::vector<float> sorted = x;
    std::sort(sorted.begin(), sorted.end());
    with_team<false>([&](const auto& team) { detail::sort_row(team, x.data(), n, [](float a, float b) { return a < b; }); });
    CHECK(x == sorted);
  }
}

namespace {

template <std::size_t K, class T>
void compare_ranks(complaints& out, const std::string& name, const std::vector<T>& x, T least) {
  const T unset(-7);
  std::vector<T> alone(x.size(), unset), team_ranks(x.size(), unset);
  detail::rank_classes<K>(detail::single_team{}, x.data(), x.size(), least, alone.data());
  with_team<false>([&](const auto& team) { detail::rank_classes<K>(team, x.data(), x.size(), least, team_ranks.data()); });
  if (alone != team_ranks) out.push_back(name + ": other ranks among the first " + std::to_string(K));
}

}  // namespace

TEST_CASE("row losses: a team ranks a row's highest classes as one thread does", "[thrust]") {
  complaints found;
  auto all = examples<float>();
  all.push_back({"nan", {1, NAN, 3, 3, NAN, inf<float>, -inf<float>, 3, 2, inf<float>}, {}});
  all.push_back({"all nan", std::vector<float>(9, NAN), {}});
  all.push_back({"all masked", std::vector<float>(9, -inf<float>), {}});
  for (const auto& e : all) {
    compare_ranks<1>(found, e.name, e.student, detail::masked_logit<float>);
    compare_ranks<5>(found, e.name, e.student, detail::masked_logit<float>);
    compare_ranks<64>(found, e.name, e.student, -inf<float>);
  }
  for (const auto& c : found) UNSCOPED_INFO(c);
  CHECK(found.empty());
}

TEST_CASE("row losses: a team takes the deviation of a row", "[thrust]") {
  using X = lk::pack<lk::scalar_lanes<double>>;
  for (const auto& e : examples<double>()) {
    const auto deviation = [&](const auto& team) {
      return detail::deviation_from([&](double origin) {
        detail::team_array<double, 3> sums{};
        detail::for_own<double>(team, e.student.size(), [&](std::size_t c) {
          detail::deviation_sums<X> one{{X(0), X(0), X(0)}};
          detail::add_deviation(X(e.student[c]), X(origin), one);
          for (std::size_t k = 0; k < 3; ++k) sums.v[k] += one.sum[k].v;
        });
        sums = team.sum(sums);
        return detail::deviation_sums<double>{{sums.v[0], sums.v[1], sums.v[2]}};
      });
    };
    const auto alone = deviation(detail::single_team{});
    with_team<true>([&](const auto& team) {
      const auto d = deviation(team);
      if (team.rank() > 0) return;
      INFO(e.name);
      CHECK(d.count == alone.count);
      CHECK(d.mean == Approx(alone.mean).epsilon(1e-13).margin(1e-12));
      CHECK(d.deviation == Approx(alone.deviation).epsilon(1e-13));
    });
  }
}

namespace {

template <class U, class V>
std::vector<U> copied(const V& device) {
  std::vector<U> x(device.size());
  thrust::copy_n(thrust::device_pointer_cast(device.data()), device.size(), x.begin());
  return x;
}

}  // namespace

TEST_CASE("sparse rows in device memory are those of the store", "[thrust]") {
  const auto e = examples<float>().back();
  const auto kept = three_rows(e, 4, false), drawn = three_rows(e, 30, true);
  lk::device_sparse_rows<float> rows = lk::on_device(kept);
  const auto compare = [&](const lk::sparse_store<float>& store) {
    const lk::sparse_rows<float, lk::device_memory> v = rows.view();
    const auto same = [](const auto& device, const auto& host) {
      return copied<typename std::remove_cvref_t<decltype(host)>::value_type>(device) == host;
    };
    CHECK(same(v.offsets, store.offsets));
    CHECK(same(v.ids, store.ids));
    CHECK(same(v.log_weights, store.log_weights));
    CHECK(same(v.log_tails, store.log_tails));
    CHECK(v.samples() == 3);
    CHECK(v.classes == store.classes);
    CHECK(v.temperature == store.temperature);
    CHECK(v.sampled == store.sampled);
    const auto loss = lk::sparse_kl(rows);
    static_assert(std::is_same_v<decltype(loss)::memory, lk::device_memory> && lk::device_rowwise<decltype(loss), float>);
    static_assert(std::is_trivially_copyable_v<decltype(loss)>);
    CHECK(loss.teacher.ids.data() == v.ids.data());
  };
  compare(kept);
  rows.copy(drawn.view());
  compare(drawn);
  auto wrong = kept;
  wrong.log_weights[0] = 1;
  CHECK_THROWS_AS(lk::on_device(wrong), lk::value_error);
  CHECK_THROWS_AS(lk::sparse_divergence(lk::reverse_kl{}, rows), lk::value_error);  // of draws: no tail
}

TEST_CASE("keep_top by a team keeps what one thread keeps", "[thrust]") {
  for (const auto& e : examples<float>()) {
    const std::size_t n = e.teacher.size(), k = std::min<std::size_t>(n, 4);
    struct result {
      std::vector<std::int32_t> ids;
      std::vector<float> log_weights, log_tails;
      std::vector<std::uint64_t> counts;
    };
    const auto by = [&](const auto& run) {
      result x{std::vector<std::int32_t>(k, -1), std::vector<float>(k, 0.F), {0.F}, {0}};
      std::vector<float> memory(n);
      const detail::keep_top_job<float> job{{e.teacher.data(), 1, n}, k, 0.5F, x.ids.data(), x.log_weights.data(),
                                            x.log_tails.data(), x.counts.data()};
      run([&](const auto& team) { job.row(team, 0, std::span<float>(memory)); });
      for (std::size_t i = x.counts[0]; i < k; ++i) x.ids[i] = -1;
      return x;
    };
    const result alone = by([](const auto& f) { f(detail::single_team{}); });
    const result team = by([](const auto& f) { with_team<false>(f); });
    INFO(e.name);
    CHECK(alone.counts == team.counts);
    CHECK(alone.ids == team.ids);
    for (std::size_t i = 0; i < alone.counts[0]; ++i)
      CHECK(near(alone.log_weights[i], team.log_weights[i], 1 + std::abs(alone.log_weights[i]), 16));
    CHECK(near(alone.log_tails[0], team.log_tails[0], 1 + std::abs(alone.log_tails[0]), 16));
  }
}

TEST_CASE("keep_top of a tensor on the device keeps what the host keeps", "[thrust]") {
  for (const auto& e : examples<double>()) {
    INFO(e.name);
    const std::size_t n = e.teacher.size();
    std::vector<double> both = e.teacher;
    both.insert(both.end(), e.student.begin(), e.student.end());
    const thrust::device_vector<double> on_device(both.begin(), both.end());
    for (const std::size_t k : {1u, 4u, 50u}) {
      const auto host = lk::keep_top(lk::rows<const double>(both.data(), 2, n), k, 2);
      const auto rows = lk::keep_top(lk::on_device(on_device, 2, n), k, 2);
      const auto v = rows.view();
      CHECK(copied<std::uint64_t>(v.offsets) == host.offsets);
      CHECK(copied<std::int32_t>(v.ids) == host.ids);
      CHECK(v.temperature == 2);
      const auto same = [](const std::vector<double>& a, const std::vector<double>& b) {
        bool equal = a.size() == b.size();
        for (std::size_t i = 0; equal && i < a.size(); ++i) equal = near(a[i], b[i], 1 + std::abs(b[i]), 16);
        return equal;
      };
      CHECK(same(copied<double>(v.log_weights), host.log_weights));
      CHECK(same(copied<double>(v.log_tails), host.log_tails));
    }
  }
  const thrust::device_vector<double> bad(std::vector<double>{1, 2, 3, 4, NAN, 5});
  CHECK_THROWS_WITH(lk::keep_top(lk::on_device(bad, 2, 3), 2), Catch::Matchers::Contains("teacher row 1 has no softmax"));
  CHECK_THROWS_AS(lk::keep_top(lk::on_device(bad, 2, 3), 0), lk::value_error);
  CHECK_THROWS_AS(lk::keep_top(lk::on_device(bad, 2, 3), 1, 0), lk::value_error);
}
