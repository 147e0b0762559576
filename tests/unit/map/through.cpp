// Losses through maps and views, the gradient of the teacher, and what a call says of rows: weights, masks, parts of a batch.

#include "catch.hpp"
#include "make_batch.hpp"

#include <limbeck/features.hpp>
#include <limbeck/limbeck.hpp>
#include <limbeck/relations.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace lk = limbeck;
using Catch::Matchers::Contains;

namespace {

constexpr std::size_t samples = 6, columns = 12;

/// Student and teacher, and the gradients of both.
struct pair_of_tensors {
  std::vector<double> s, t, gs, gt;
  pair_of_tensors() : s(samples * columns), t(s.size()), gs(s.size()), gt(s.size()) {
    lk::random_stream r(3);
    for (auto* x : {&s, &t})
      for (double& v : *x) v = r.normal();
  }
  static lk::rows<double> view(std::vector<double>& x) { return {x.data(), samples, columns}; }
  lk::rows<const double> student() const { return {s.data(), samples, columns}; }
  lk::rows<const double> teacher() const { return {t.data(), samples, columns}; }
};

/// Largest error of both gradients against central differences.
template <class E, class... A>
void check_both_sides(const char* name, const E& e, const A&... more) {
  CAPTURE(name);
  const lk::objective objective{e};
  pair_of_tensors x;
  lk::workspace ws;
  lk::serial one;
  lk::openmp three{3};
  const auto call = [&](const lk::executor_ref& on) {
    return objective(x.student(), x.teacher(), lk::into(x.view(x.gs)), lk::into_teacher(x.view(x.gt)), ws, lk::on(on), more...);
  };
  const lk::executor_ref alone(one), team(three);
  const double loss = call(alone);
  CHECK(loss == Approx(objective.value(x.student(), x.teacher(), ws, more...)).epsilon(1e-14));
  const std::vector<double> gs = x.gs, gt = x.gt;
  const auto differ = [&](std::vector<double>& of, std::size_t i) {
    const double h = 1e-5, was = of[i];
    of[i] = was + h;
    const double up = objective.value(x.student(), x.teacher(), ws, more...);
    of[i] = was - h;
    const double down = objective.value(x.student(), x.teacher(), ws, more...);
    of[i] = was;
    return (up - down) / (2 * h);
  };
  double worst = 0;
  for (std::size_t i = 0; i < x.s.size(); ++i)
    worst = (std::max)({worst, std::abs(differ(x.s, i) - gs[i]), std::abs(differ(x.t, i) - gt[i])});
  CHECK(worst < 1e-8);
  // a second call with the same memory: nothing grows, no bit changes, for any number of threads
  const std::size_t held = ws.size();
  call(alone);
  CHECK(ws.size() == held);
  call(team);
  CHECK(x.gs == gs);
  CHECK(x.gt == gt);
}

const std::vector<double> weights{1, 0.5, 0, 2, 1, 3};

}  // namespace

TEST_CASE("the gradient of the teacher, of losses of rows and through maps and views", "[map]") {
  const auto soft = lk::at_temperature(2.0, 3.0, lk::forward_kl{}) + 2 * lk::at_temperature(3.0, lk::reverse_kl{}) + lk::mse{};
  check_both_sides("rows", soft, lk::row_weights(weights));
  check_both_sides("through", 2 * lk::through(lk::unit_rows{}, lk::mse{} + 0.3 * lk::at_temperature(2.0, lk::forward_kl{})) + lk::mse{},
                   lk::row_weights(weights));
  check_both_sides("views",
                   lk::by_channel(3, lk::at_temperature(4.0, lk::jensen_shannon{})) + lk::by_position(3, lk::mse{}) +
                       lk::grouped(3, lk::transposed(lk::forward_kl{}) + lk::through(lk::layer_norm{}, lk::mse{})),
                   lk::row_mask(weights));
}

TEST_CASE("a loss through a map is the loss of what the map gives", "[map]") {
  pair_of_tensors x;
  pair_of_tensors y = x;
  for (auto* of : {&y.s, &y.t})
    for (std::size_t r = 0; r < samples; ++r) {
      double squares = 0;
      for (std::size_t c = 0; c < columns; ++c) squares += (*of)[r * columns + c] * (*of)[r * columns + c];
      for (std::size_t c = 0; c < columns; ++c) (*of)[r * columns + c] /= std::sqrt(squares);
    }
  const auto inner = lk::mse{} + lk::linear(0.0, 1.0) * lk::forward_kl{};
  const lk::progress half(1, 2);
  const lk::objective plain{inner};
  const lk::objective mapped{lk::through(lk::unit_rows{}, inner)};
  CHECK(mapped.value(x.student(), x.teacher(), half) == Approx(plain.value(y.student(), y.teacher(), half)).epsilon(1e-12));
  // weights and micro-batches are those of the call
  const double whole = mapped(x.student(), x.teacher(), half, lk::into(x.view(x.gs)), lk::row_weights(weights));
  CHECK(whole == Approx(plain.value(y.student(), y.teacher(), half, lk::row_weights(weights))).epsilon(1e-12));
  std::vector<double> parts(samples * columns);
  double sum = 0;
  for (std::size_t r = 0; r < samples; r += 2) {
    const std::vector<double> w(weights.begin() + static_cast<std::ptrdiff_t>(r), weights.begin() + static_cast<std::ptrdiff_t>(r) + 2);
    const auto part = [&](auto& v) { return lk::rows<std::remove_reference_t<decltype(v[0])>>(v.data() + r * columns, 2, columns); };
    sum += mapped(part(x.s), part(x.t), half, lk::into(part(parts)), lk::row_weights(w), lk::mean_over(7.5)).loss;
  }
  CHECK(sum == Approx(whole).epsilon(1e-12));
  for (std::size_t i = 0; i < parts.size(); ++i) CHECK(parts[i] == Approx(x.gs[i]).margin(1e-15));
  const auto unsure = lk::of_teacher(lk::entropy{});
  CHECK((unsure * lk::through(lk::identity{}, lk::mse{})).value(x.student(), x.teacher(), lk::row_weights(weights)) ==
        Approx((unsure * lk::mse{}).value(x.student(), x.teacher(), lk::row_weights(weights))).epsilon(1e-12));
  CHECK(mapped.value(x.student(), x.teacher(), half, lk::row_weights(weights), lk::sum) == Approx(7.5 * whole).epsilon(1e-12));
}

TEST_CASE("a learned map through any loss, on either side", "[map]") {
  pair_of_tensors x;
  lk::projection<double> p(columns, 5, lk::he{.seed = 4}), q(columns, 5, lk::he{.seed = 5});
  const lk::objective both{0.7 * lk::through(lk::then(p, lk::unit_rows{}), q, lk::mse{} + lk::at_temperature(2.0, lk::forward_kl{}))};
  const auto value = [&] { return both.value(x.student(), x.teacher(), lk::row_weights(weights)); };
  value();
  CHECK(p.gradients()[0][3] == 0);  // a call that wants none changes nothing
  both(x.student(), x.teacher(), lk::into(x.view(x.gs)), lk::row_weights(weights));
  for (auto* part : {&p, &q})
    for (const std::size_t which : {0, 1})
      for (std::size_t i = 0; i < part->parameters()[which].size(); i += 7) {
        double& w = part->parameters()[which][i];
        const double h = 1e-5, was = w;
        w = was + h;
        const double up = value();
        w = was - h;
        const double down = value();
        w = was;
        CHECK(part->gradients()[which][i] == Approx((up - down) / (2 * h)).margin(1e-8));
      }
  std::size_t found = 0;
  lk::for_each_learned(both, [&](auto&) { ++found; });
  CHECK(found == 2);
}

TEST_CASE("views: the same numbers as other rows", "[map]") {
  pair_of_tensors x;
  const auto kl = lk::at_temperature(4.0, lk::forward_kl{});
  // 6 samples of 3 channels x 4 positions are 18 rows of 4
  const lk::objective plain{kl};
  std::vector<double> g(samples * columns);
  const double rows = plain(lk::rows<const double>(x.s.data(), 18, 4), lk::rows<const double>(x.t.data(), 18, 4),
                            lk::into(lk::rows<double>(g.data(), 18, 4)));
  CHECK(lk::objective{lk::by_channel(3, kl)}(x.student(), x.teacher(), lk::into(x.view(x.gs))).loss == Approx(rows));
  for (std::size_t i = 0; i < g.size(); ++i) CHECK(x.gs[i] == Approx(g[i]).margin(1e-15));
  CHECK(plain(lk::channels_as_rows(x.student(), 3), lk::channels_as_rows(x.teacher(), 3), lk::into(lk::channels_as_rows(x.view(x.gs), 3)))
            .loss == rows);
  CHECK(x.gs == g);
  // pixels in rows: a picture is a group, a channel a column
  std::vector<double> s(x.s.size()), t(x.s.size());
  for (std::size_t n = 0; n < samples; ++n)
    for (std::size_t c = 0; c < 3; ++c)
      for (std::size_t p = 0; p < 4; ++p)
        s[(n * 4 + p) * 3 + c] = x.s[n * columns + c * 4 + p], t[(n * 4 + p) * 3 + c] = x.t[n * columns + c * 4 + p];
  const lk::rows<const double> pixels(s.data(), 24, 3), taught(t.data(), 24, 3);
  CHECK(lk::objective{lk::grouped(4, lk::transposed(kl))}.value(pixels, taught) == Approx(rows));
  // positions of a picture related to each other, and to those of no other
  const lk::objective related{lk::by_position(3, lk::similarity_preserving{})};
  double mean = 0;
  for (std::size_t n = 0; n < samples; ++n)
    mean += lk::objective{lk::similarity_preserving{}}.value(lk::rows<const double>(s.data() + n * 12, 4, 3),
                                                             lk::rows<const double>(t.data() + n * 12, 4, 3)) / 6;
  CHECK(related.value(x.student(), x.teacher()) == Approx(mean));
  CHECK(lk::objective{lk::grouped(4, lk::similarity_preserving{})}.value(pixels, taught) == Approx(mean));
  // what does not count is left out of its group, and a group without rows out of the mean
  std::vector<int> mask(24, 1);
  mask[5] = 0, std::fill(mask.begin() + 8, mask.begin() + 12, 0);
  double some = 0;
  for (std::size_t n = 0; n < samples; ++n) {
    if (n == 2) continue;
    std::vector<int> part(mask.begin() + static_cast<std::ptrdiff_t>(4 * n), mask.begin() + static_cast<std::ptrdiff_t>(4 * n) + 4);
    some += lk::objective{lk::similarity_preserving{}}.value(lk::rows<const double>(s.data() + n * 12, 4, 3),
                                                             lk::rows<const double>(t.data() + n * 12, 4, 3), lk::row_mask(part)) / 5;
  }
  CHECK(lk::objective{lk::grouped(4, lk::similarity_preserving{})}.value(pixels, taught, lk::row_mask(mask)) == Approx(some));
  CHECK_THROWS_WITH(lk::objective{lk::grouped(5, kl)}.value(pixels, taught), Contains("24 rows, which are no whole number of groups of 5"));
  CHECK_THROWS_WITH(lk::objective{lk::by_channel(5, kl)}.value(x.student(), x.teacher()), Contains("no whole number of positions in 5 channels"));
}

TEST_CASE("pictures as rows of positions, with their labels, where they lie", "[map]") {
  const std::size_t n = 3, c = 5, p = 7;
  const auto at = [&](std::size_t i, std::size_t k, std::size_t q) { return (i * c + k) * p + q; };
  lk::random_stream random(3);
  const auto run = [&]<class T>(T, const auto& objective) {
    std::vector<T> s(n * c * p), t(s.size()), g(s.size(), T(9)), made(s.size()), ss(s.size()), tt(s.size()), gg(s.size());
    for (auto* v : {&s, &t})
      for (T& x : *v) x = static_cast<T>(random.normal());
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t k = 0; k < c; ++k)
        for (std::size_t q = 0; q < p; ++q) ss[(i * p + q) * c + k] = s[at(i, k, q)], tt[(i * p + q) * c + k] = t[at(i, k, q)];
    std::vector<int> y(n * p);
    std::vector<float> w(n * p);
    for (std::size_t i = 0; i < y.size(); ++i) y[i] = static_cast<int>(i % c), w[i] = static_cast<float>(i % 4);
    const auto view = [&](std::vector<T>& x) { return lk::rows<T>(x.data(), n, c * p); };
    const double moved = objective(lk::rows<const T>(ss.data(), n * p, c), lk::rows<const T>(tt.data(), n * p, c), y, lk::row_weights(w),
                                   lk::into(lk::rows<T>(gg.data(), n * p, c)));
    CHECK(objective(lk::positions_as_rows(view(s), c), lk::positions_as_rows(view(t), c), y, lk::row_weights(w),
                    lk::into(lk::positions_as_rows(view(g), c)))
              .loss == moved);
    bool same = true;
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t k = 0; k < c; ++k)
        for (std::size_t q = 0; q < p; ++q) same = same && g[at(i, k, q)] == gg[(i * p + q) * c + k];
    CHECK(same);
    // the same of a tensor whose type is known at run time
    const std::ptrdiff_t shape[] = {3, 5, 7, 1};
    const auto any = [&](std::vector<T>& x) { return lk::any_tensor(x.data(), lk::element_type_of<T>, shape, false); };
    CHECK(objective(lk::positions_as_rows(any(s)), lk::positions_as_rows(any(t)), y, lk::row_weights(w),
                    lk::into(lk::positions_as_rows(any(made))))
              .loss == moved);
    CHECK(made == g);
  };
  run(0.F, lk::cross_entropy{} + 0.5 * lk::forward_kl{} + lk::mse{});
  run(0.0, lk::cross_entropy{} + 0.1 * lk::forward_kl{} + lk::mse{});
  std::vector<float> x(n * c * p);
  CHECK_THROWS_WITH(lk::objective{lk::mse{}}.value(lk::positions_as_rows(lk::rows<float>(x.data(), n, c * p), 4),
                                                   lk::positions_as_rows(lk::rows<float>(x.data(), n, c * p), 4)),
                    Contains("positions_as_rows of 35 columns, which are no whole number of positions in 4 channels"));
  const std::ptrdiff_t shape[] = {3, 35};
  CHECK_THROWS_WITH(lk::channels_as_rows(lk::any_tensor(x.data(), lk::element_type::float32, shape)), Contains("batch x channels x positions"));
}

TEST_CASE("two outputs of one student that both learn", "[map]") {
  pair_of_tensors x;
  std::vector<int> y{0, 1, 2, 3, 0, 5};
  std::vector<double> z = x.t, gz(z.size(), 7);
  std::reverse(z.begin(), z.end());
  const auto objective = lk::between<"a", "b">(lk::at_temperature(2.0, lk::forward_kl{}) + 0.5 * lk::through(lk::unit_rows{}, lk::mse{})) +
                         lk::at<"b">(lk::cross_entropy{}) + 0.3 * lk::at<"a", "logits">(lk::reverse_kl{});
  const lk::outputs student{lk::output<"a">(x.view(x.s)), lk::output<"b">(x.view(x.t)), lk::output<"c">(x.view(z))};
  lk::outputs gradients{lk::output<"a">(x.view(x.gs)), lk::output<"b">(x.view(x.gt)), lk::output<"c">(x.view(gz))};
  const lk::rows<const double> teacher(z.data(), samples, columns);
  objective(student, teacher, y, lk::into(gradients));
  for (const auto& [of, g] : {std::pair{&x.s, &x.gs}, std::pair{&x.t, &x.gt}})
    for (std::size_t i = 0; i < of->size(); i += 5) {
      const double h = 1e-5, was = (*of)[i];
      (*of)[i] = was + h;
      const double up = objective.value(student, teacher, y);
      (*of)[i] = was - h;
      const double down = objective.value(student, teacher, y);
      (*of)[i] = was;
      CHECK((*g)[i] == Approx((up - down) / (2 * h)).margin(1e-8));
    }
  CHECK(gz[3] == 0);  // an output that no loss looks at
  // nobody has to teach
  const auto alone = lk::between<"a", "c">(lk::mse{});
  alone(student, lk::into(gradients));
  CHECK(gz[3] == Approx(-x.gs[3]));
  CHECK(alone.report(student).total() == Approx(alone.value(student)));
}

TEST_CASE("losses inside know which rows of the call they have", "[map]") {
  pair_of_tensors x;
  const std::vector<int> mask{0, 1, 1, 0, 1, 1};
  const std::vector<double> v{1, 2, 3, 4, 5, -6};
  const auto given = lk::given(v) * lk::mse{};
  const auto value = [&](const auto& e, const auto&... more) { return lk::objective{e}.value(x.student(), x.teacher(), more...); };
  CHECK(value(lk::through(lk::identity{}, given), lk::row_mask(mask)) == Approx(value(given, lk::row_mask(mask))));
  CHECK(value(lk::given(v) * lk::through(lk::identity{}, lk::mse{}), lk::row_mask(mask)) == Approx(value(given, lk::row_mask(mask))));
  const std::vector<double> two{1, 2};
  CHECK_THROWS_WITH(value(lk::through(lk::identity{}, lk::given(two) * lk::mse{})), Contains("given has 2 elements"));
  const auto related = lk::grouped(2, lk::similarity_preserving{} + lk::mse{});
  CHECK(value(lk::through(lk::identity{}, related), lk::row_mask(mask)) == Approx(value(related, lk::row_mask(mask))));
  std::vector<unsigned char> roles(samples * samples, 1);
  for (std::size_t i = 0; i < samples; ++i) roles[i * samples + i] = 2;
  const auto paired = lk::info_nce{}.over(lk::pair_mask{{roles.data(), samples, samples}});
  CHECK(value(lk::through(lk::unit_rows{}, paired), lk::row_mask(mask)) == Approx(value(paired, lk::row_mask(mask))));
  const lk::rows<const double> every(x.s.data(), samples, columns);
  const auto elements = lk::element_weights(every, lk::mse{});
  CHECK(value(lk::through(lk::identity{}, elements), lk::row_mask(mask)) == Approx(value(elements, lk::row_mask(mask))));
  // labels that say nothing, and labels that take a row out
  std::vector<int> y{0, -1, 2, 255, 4, -1};
  const auto labels = lk::cross_entropy{} + lk::mse{};
  CHECK(value(lk::through(lk::identity{}, labels), y, lk::unlabelled(-1), lk::ignore_index(255)) ==
        Approx(value(labels, y, lk::unlabelled(-1), lk::ignore_index(255))));
  // one row left of a group has a softmax of one class
  const std::vector<int> few{1, 0, 0, 1, 1, 1};
  CHECK(value(lk::grouped(3, lk::transposed(lk::forward_kl{})), lk::row_mask(few)) ==
        Approx(value(lk::grouped(3, lk::transposed(lk::forward_kl{})), lk::row_mask(std::vector<int>{0, 0, 0, 1, 1, 1})) / 2));
}

TEST_CASE("what is wrong with maps and views", "[map]") {
  pair_of_tensors x;
  const std::vector<std::size_t> first(40, 1);
  const lk::row_list<> many(first);
  CHECK_THROWS_AS(lk::objective{lk::through(lk::gathered(many), lk::identity{}, lk::similarity_preserving{})}.value(x.student(), x.teacher()),
                  lk::shape_error);
  CHECK_THROWS_WITH(lk::objective{lk::through(lk::at_positions(lk::gathered(many), 3), lk::feature_mse{})}.value(
                        x.student(), x.teacher(), lk::row_weights(weights)),
                    Contains("weights are all the same"));
  std::vector<double> wide(samples * 24);
  CHECK_THROWS_WITH(lk::objective{lk::by_position(4, lk::similarity_preserving{})}.value(x.student(), lk::rows<const double>(wide.data(), samples, 24)),
                    Contains("not as many positions of 4 channels"));
}

TEST_CASE("what is wrong with teachers' gradients", "[map]") {
  pair_of_tensors x;
  const lk::objective mse{lk::mse{}};
  CHECK_THROWS_WITH(mse(x.student(), x.teacher(), lk::into(x.view(x.gs)), lk::into_teacher(lk::rows<double>(x.gt.data(), samples, 3))),
                    Contains("teacher gradient"));
  CHECK_THROWS_WITH(mse(x.student(), x.teacher(), lk::into(x.view(x.gs)), lk::into_teacher(x.view(x.gs))),
                    Contains("teacher gradient overlaps"));
  x.s[15] = std::nan("");
  CHECK_THROWS_WITH(lk::objective{lk::through(lk::unit_rows{}, lk::mse{})}.value(x.student(), x.teacher()),
                    Contains("student is nan at row 1, column 3"));
}

TEST_CASE("a number that is not finite is found wherever it stands in a row", "[map]") {
  constexpr std::size_t wide = 37;
  std::vector<double> s(2 * wide, 0.5), t(2 * wide, 0.25);
  const auto value = [&](const auto& loss) {
    return lk::objective{loss}.value(lk::rows<const double>(s.data(), 2, wide), lk::rows<const double>(t.data(), 2, wide));
  };
  const double infinity = std::numeric_limits<double>::infinity();
  for (std::size_t c = 0; c < wide; ++c) {
    const std::string place = " at row 1, column " + std::to_string(c) + ",";
    for (const double bad : {std::nan(""), infinity, -infinity}) {
      t[wide + c] = bad;
      CHECK_THROWS_WITH(value(lk::through(lk::unit_rows{}, lk::hint{})), Contains("teacher is ") && Contains(place));
      if (bad != -infinity) CHECK_THROWS_WITH(value(lk::mse{}), Contains("teacher"));
    }
    CHECK(value(lk::mse{}) == infinity);  // masked on one side, then on both
    s[wide + c] = -infinity;
    CHECK(value(lk::mse{}) == Approx((2 * wide - 1) * 0.0625 / (2 * wide)));
    s[wide + c] = 2e300;
    t[wide + c] = 0.25;
    CHECK_THROWS_WITH(value(lk::mse{}), Contains("student"));
    s[wide + c] = 0.5;
  }
}
