// What a device does to the rows of a map, by teams of several threads that are threads of the host here: the host's numbers.

#include "catch.hpp"
#include "make_batch.hpp"
#include "map_cases.hpp"
#include "team_batch.hpp"

using namespace limbeck_test;

namespace {

TEST_CASE("maps: teams of several threads have the numbers of one") {
  using memory_of_warps = shared_rows<false>;
  std::vector<map_result> host;
  map_parts<float, lk::host_rows> parts;
  each_map(parts, [&](const char* name, const auto& map, std::size_t n, std::size_t m, const auto&) {
    features<float> x(n, m, 1, 3);
    const double value = x.run(inner_product(map), 0.5);
    host.push_back({name, value, std::vector<double>(x.gradient.begin(), x.gradient.end())});
  });
  std::size_t next = 0;
  map_parts<float, memory_of_warps> shared_parts;
  each_map(shared_parts, [&](const char* name, const auto& map, std::size_t n, std::size_t m, const auto&) {
    CAPTURE(name);
    const map_result& expected = host[next++];
    features<float> x(n, m, 1, 3);
    lk::workspace ws;
    lk::scratch memory(ws);
    const lk::serial one;
    const lk::dense_primitives<float, memory_of_warps> dense;
    const lk::batch<float, memory_of_warps> batch{x.s(), {}, {}, x.g(), 0.5f, 1, 1, memory, one, dense};
    CHECK(inner_product(map)(batch).value() == Approx(expected.value).epsilon(1e-5).margin(1e-5));
    double largest = 0;
    for (const double g : expected.gradient) largest = (std::max)(largest, std::fabs(g));
    for (std::size_t i = 0; i < x.gradient.size(); ++i)
      CHECK(static_cast<double>(x.gradient[i]) == Approx(expected.gradient[i]).margin(1e-6 * largest));
  });
}

}  // namespace
