// Maps: their definitions in long double, and the way back against differences.

#include "catch.hpp"
#include "make_batch.hpp"
#include "map_cases.hpp"

#include <limits>
#include <type_traits>

using namespace limbeck_test;

namespace {

static_assert(std::is_same_v<decltype(lk::then(lk::identity{}, lk::unit_rows{}, lk::identity{})), lk::unit_rows>);
static_assert(std::is_same_v<decltype(lk::then(lk::identity{}, lk::identity{})), lk::identity>);

double by_definition(const features<double>& x, const auto& definition) {
  const table y = definition(make_table(x.samples, x.columns, [&](std::size_t r, std::size_t c) {
    return static_cast<long double>(x.student[r * x.columns + c]);
  }));
  long double sum = 0;
  for (std::size_t r = 0; r < y.n; ++r)
    for (std::size_t c = 0; c < y.m; ++c) sum += y(r, c) * static_cast<long double>(factor_of(r, c));
  return static_cast<double>(sum);
}

template <class M>
constexpr bool learns = requires { typename M::scalar; };

const auto map_of_one = [](auto map, features<double>& x) { return x.value(inner_product(map)); };

}  // namespace

TEST_CASE("maps: definitions, and the way back") {
  map_parts<double, lk::host_rows> parts;
  each_map(parts, [](const char* name, const auto& map, std::size_t n, std::size_t m, const auto& definition) {
    CAPTURE(name);
    features<double> x(n, m, 1, 3);
    const auto loss = inner_product(map);
    const double value = x.run(loss, 0.5);
    const std::vector<double> half = x.gradient;
    CHECK(value == Approx(by_definition(x, definition)).epsilon(1e-12).margin(1e-12));
    CHECK(x.difference(loss) < 1e-7);  // runs with a scale of 1
    for (std::size_t i = 0; i < half.size(); ++i) CHECK(half[i] == Approx(x.gradient[i] / 2).margin(1e-14));

    const std::vector<double> one = x.gradient;
    CHECK(x.run_on(lk::openmp{3}, loss) == value);
    CHECK(x.gradient == one);
    const std::size_t held = x.memory.size();
    x.run(loss);
    CHECK(x.memory.size() == held);

    // Rows further apart than they are long; what stands in the gradient stays.
    std::vector<double> wide(n * (m + 2), 9), gradient(n * (m + 2), 0.25);
    for (std::size_t i = 0; i < n * m; ++i) wide[i / m * (m + 2) + i % m] = x.student[i];
    const auto apart = static_cast<std::ptrdiff_t>(m + 2);
    CHECK(x.over(loss, lk::rows<const double>(wide.data(), n, m, apart), x.t(), lk::rows<double>(gradient.data(), n, m, apart), 1,
                 lk::serial{}) == value);
    for (std::size_t i = 0; i < gradient.size(); ++i)
      CHECK(gradient[i] - 0.25 == Approx(i % (m + 2) < m ? one[i / (m + 2) * m + i % (m + 2)] : 0).margin(1e-14));
  });
}

TEST_CASE("maps: what they learn, with the gradient of the rows and without; what is frozen") {
  map_parts<double, lk::host_rows> parts;
  auto& p = parts.p;
  for (std::size_t i = 0; i < 4; ++i) p.parameters()[1][i] = 0.1 * static_cast<double>(i) - 0.2;
  const auto check = [&](const char* name, const auto& map, std::size_t columns) {
    CAPTURE(name);
    features<double> x(6, columns, 1, 3);
    for (const bool to_rows : {true, false}) {
      const auto loss = inner_product(map, to_rows);
      p.zero_gradients();
      x.run(loss, 0.5);
      CHECK((x.gradient == std::vector<double>(x.gradient.size())) != to_rows);
      for (std::size_t part = 0; part < 2; ++part)
        for (std::size_t i = 0; i < p.parameters()[part].size(); ++i) {
          double& w = p.parameters()[part][i];
          const double kept = w;
          w = kept + 1e-5;
          const double up = x.value(loss);
          w = kept - 1e-5;
          const double down = x.value(loss);
          w = kept;
          CHECK(p.gradients()[part][i] == Approx(0.5 * (up - down) / 2e-5).margin(1e-8));
        }
    }
    std::size_t visited = 0;
    inner_product(map).visit_learned([&](auto& part) { visited += &part == &p; });
    CHECK(visited == 1);
  };
  check("as a map", p.as_map(), 3);
  check("at positions", lk::at_positions(p, 4), 12);
  check("first of a chain", lk::then(p, lk::unit_rows{}), 3);
  check("last of a chain", lk::then(lk::layer_norm{}, p), 3);

  const auto still = lk::then(lk::frozen(p), lk::unit_rows{});
  p.zero_gradients();
  features<double> x(6, 3, 1, 3);
  x.run(inner_product(still));
  CHECK(p.gradients()[0][0] == 0);
  CHECK(!learns<decltype(still)>);  // a trainer finds nothing to step
}

TEST_CASE("maps: rows of 0, rows of equal numbers, lists of none") {
  features<double> x(2, 4, 1);
  for (std::size_t c = 0; c < 4; ++c) x.student[c] = 0, x.student[4 + c] = 0;
  CHECK(x.run(inner_product(lk::unit_rows{})) == 0);
  CHECK(x.gradient == std::vector<double>(8));
  for (double& v : x.student) v = 2;
  CHECK(x.run(inner_product(lk::layer_norm{})) == 0);
  const double mean = (factor_of(0, 0) + factor_of(0, 1) + factor_of(0, 2) + factor_of(0, 3)) / 4;
  CHECK(x.gradient[1] == Approx((factor_of(0, 1) - mean) / std::sqrt(1e-5)));
  CHECK(x.run(inner_product(lk::standardised{})) == 0);
  CHECK(x.gradient[1] == Approx((factor_of(0, 1) - mean) / 1e-7));
  features<double> thin(3, 1, 1);
  CHECK(thin.run(inner_product(lk::standardised{})) == 0);

  lk::row_list<> none;
  CHECK(x.run(inner_product(lk::gathered(none))) == 0);
  none.assign(std::vector<int>{1, 1});
  CHECK(x.run(inner_product(lk::gathered(none))) != 0);
  CHECK(x.gradient[0] == 0);
  CHECK(x.gradient[4] == factor_of(0, 0) + factor_of(1, 0));
}

TEST_CASE("maps: a mask of any type, vectors of a matrix on its side") {
  features<double> x(3, 4, 1);
  std::vector<unsigned char> keep{1, 0, 0, 1};
  const auto loss = inner_product(lk::times(keep));
  x.run(loss);
  CHECK(x.gradient[4] == factor_of(1, 0));
  CHECK(x.gradient[5] == 0);
  keep[1] = 1;  // is read by each call
  x.run(loss);
  CHECK(x.gradient[5] == factor_of(1, 1));

  const std::vector<double> w{1, 4, 2, 5, 3, 6, -1, -2};  // 2 vectors of 4, column by column
  const auto logits = lk::class_vectors(lk::samples_in_columns(lk::rows<const double>(w.data(), 4, 2)), 10);
  double expected = 0;
  for (std::size_t r = 0; r < 3; ++r)
    for (std::size_t c = 0; c < 2; ++c)
      for (std::size_t k = 0; k < 4; ++k) expected += 10 * x.student[r * 4 + k] * w[k * 2 + c] * factor_of(r, c);
  CHECK(x.value(inner_product(logits)) == Approx(expected));
}

TEST_CASE("maps: what is wrong is named") {
  features<double> x(2, 6, 1);
  const lk::projection<double> p(4, 3);
  std::vector<double> mask(5);
  const lk::rows<const double> vectors(mask.data(), 1, 5);
  const lk::row_list<> from(std::vector<int>{0, 2}), to(std::vector<int>{1});
  const auto& one = map_of_one;
  CHECK_THROWS_WITH(one(lk::frozen(p), x), "limbeck: projection is given rows of 6 columns, expected 4");
  CHECK_THROWS_WITH(one(lk::times(mask), x), "limbeck: times(mask) is given rows of 6 columns, expected 5");
  CHECK_THROWS_WITH(one(lk::class_vectors(vectors), x), "limbeck: class_vectors is given rows of 6 columns, expected 5");
  CHECK_THROWS_WITH(one(lk::columns(4, 3), x), "limbeck: columns(4, 3) is given rows of 6 columns");
  CHECK_THROWS_WITH(one(lk::pooled{.height = 2, .width = 2}, x), "limbeck: pooled is given rows of 6 columns, expected 4");
  CHECK_THROWS_WITH(one(lk::pooled{.height = 1, .width = 6}, x),
                    "limbeck: pooled has windows of 2 x 2 in pictures of 1 x 6");
  CHECK_THROWS_WITH(one(lk::adaptive_pooled{.height = 2, .width = 3, .out_height = 0}, x),
                    "limbeck: adaptive_pooled has 0 x 1 bins in pictures of 2 x 3");
  CHECK_THROWS_WITH(one(lk::layer_norm{.epsilon = -1}, x), "limbeck: epsilon of layer_norm is -1, expected at least 0");
  CHECK_THROWS_WITH(one(lk::gathered(from), x), "limbeck: gathered takes row 2 of a batch of 2");
  CHECK_THROWS_WITH(one(lk::pair_differences(from, to), x),
                    "limbeck: the second list of pair_differences has 1 elements, expected 2 (as the first)");
  CHECK_THROWS_WITH(lk::row_list<>(std::vector<int>{0, -1}), "limbeck: row_list is -1 at row 1, expected at least 0");
  CHECK_THROWS_WITH(one(lk::at_positions(lk::unit_rows{}, 4), x),
                    "limbeck: at_positions is given rows of 6 columns, which are no whole number of channels at 4 positions");
  CHECK_THROWS_WITH(one(lk::at_positions(lk::gathered(to), 3), x),
                    "limbeck: at_positions takes a map that gives as many rows as it is given");
  CHECK_THROWS_WITH(one(lk::then(lk::columns(0, 5), lk::frozen(p)), x),
                    "limbeck: projection is given rows of 5 columns, expected 4");

  lk::workspace ws;
  lk::scratch memory(ws);
  lk::serial one_thread;
  const lk::executor_ref on(one_thread);
  const std::size_t counted[2] = {0, 2};
  const lk::batch<double> some{x.s(), {}, {}, {}, 1, 1, 1, memory, on, lk::detail::dense_of<double>(), counted, 3};
  for (const auto& call : {std::string("gathered"), std::string("pair_differences")})
    CHECK_THROWS_WITH(call == "gathered" ? inner_product(lk::gathered(to))(some)
                                         : inner_product(lk::pair_differences(to, to))(some),
                      "limbeck: " + call + " numbers the rows of the call, of which some do not count; leave out labels to "
                      "ignore, masks and weights of 0, or leave these rows out of the list");
}
