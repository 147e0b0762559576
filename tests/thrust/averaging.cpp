// Averagers and restores over device memory: the host's numbers, and what the host would restore.
#include "catch.hpp"

#include <limbeck/averaging/averaging.hpp>
#include <limbeck/backend/thrust/averaging.hpp>
#include <limbeck/thrust.hpp>

#include <thrust/device_vector.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

namespace {

namespace lk = limbeck;
using Catch::Matchers::Contains;
using network = std::vector<std::vector<float>>;
using device_network = std::vector<thrust::device_vector<float>>;

network random_network(std::uint64_t seed, std::vector<std::size_t> sizes = {50, 1, 0, 3000}) {
  lk::random_stream random(seed);
  network n;
  for (const std::size_t s : sizes) {
    n.emplace_back(s);
    for (float& x : n.back()) x = static_cast<float>(random.normal());
  }
  return n;
}
device_network to_device(const network& n) {
  device_network d;
  for (const auto& t : n) d.emplace_back(t.begin(), t.end());
  return d;
}

}  // namespace

TEST_CASE("device averager: the numbers of the host's", "[thrust][averaging]") {
  const auto start = random_network(1);
  lk::averager host(lk::mean_teacher{.decay = 0.8}, start);
  lk::averager device(lk::mean_teacher{.decay = 0.8}, to_device(start));
  CHECK(lk::snapshot(device.parameters()) == start);
  for (std::uint64_t step = 2; step < 12; ++step) {
    const auto student = random_network(step);
    host.update(student);
    device.update(to_device(student));
  }
  const auto a = lk::snapshot(host.parameters()), b = lk::snapshot(device.parameters());
  for (std::size_t t = 0; t < a.size(); ++t)
    for (std::size_t i = 0; i < a[t].size(); ++i) CHECK(a[t][i] == Approx(b[t][i]).margin(1e-6));
}

TEST_CASE("device averager: in place, copied, and by spans of device pointers", "[thrust][averaging]") {
  auto own = to_device(random_network(1));
  const auto student = random_network(2);
  const auto on_device = to_device(student);
  lk::averager copies(lk::copied{}, lk::in_place(own));
  std::vector<lk::device_span<const float>> spans;
  for (const auto& t : on_device) spans.emplace_back(thrust::raw_pointer_cast(t.data()), t.size());
  CHECK(copies.update(spans));
  CHECK(lk::snapshot(own) == student);
  CHECK_THROWS_WITH(copies.update(own), Contains("overlaps"));
  CHECK_THROWS_WITH(copies.update(to_device(random_network(1, {50, 1, 0, 2999}))),
                    Contains("parameters tensor 3 has 2999 elements, expected 3000"));
}

TEST_CASE("device restores: the same elements as on the host", "[thrust][averaging]") {
  const auto source = random_network(1), adapted = random_network(2), gradients = random_network(3);
  const auto d_source = to_device(source), d_gradients = to_device(gradients);
  lk::workspace ws;
  auto host = adapted;
  auto device = to_device(adapted);
  lk::random_stream one(9), two(9);
  lk::stochastic_restore{.rate = 0.3}(host, source, one);
  lk::stochastic_restore{.rate = 0.3}(device, d_source, two);
  CHECK(one == two);
  CHECK(lk::snapshot(device) == host);
  CHECK(lk::fisher_quantile(gradients, 0.37, ws) == lk::fisher_quantile(d_gradients, 0.37, ws));
  lk::averager host_teacher(lk::ema{.decay = 0.5}, adapted);
  lk::averager teacher(lk::ema{.decay = 0.5}, to_device(adapted));
  lk::psmt{.quantile = 0.4}(host_teacher, host, source, gradients, ws);
  lk::psmt{.quantile = 0.4}(teacher, device, d_source, d_gradients, ws);
  CHECK(lk::snapshot(device) == host);
  auto broken = gradients;
  broken[0][3] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH(lk::fisher_quantile(to_device(broken), 0.1, ws), Contains("limbeck: a gradient is nan"));
}

TEST_CASE("device averager: saved and loaded through the host", "[thrust][averaging]") {
  std::map<std::string, std::vector<char>> stored;
  bool loading = false;
  const auto pass = [&](const char* name, auto& value) {
    const auto bytes = [&] {
      if constexpr (requires { value.data(); }) {
        return std::pair<char*, std::size_t>(reinterpret_cast<char*>(value.data()),
                                             value.size() * sizeof(*value.data()));
      } else {
        return std::pair<char*, std::size_t>(reinterpret_cast<char*>(&value), sizeof(value));
      }
    }();
    if (loading) {
      std::copy(stored[name].begin(), stored[name].end(), bytes.first);
    } else {
      stored[name].assign(bytes.first, bytes.first + bytes.second);
    }
  };
  lk::averager first(lk::swa{}, to_device(random_network(1))), second(lk::swa{}, to_device(random_network(2)));
  first.update(to_device(random_network(3)));
  first.serialize(pass);
  loading = true;
  second.serialize(pass);
  CHECK(second.updates() == 1);
  CHECK(lk::snapshot(second.parameters()) == random_network(3));
}

TEST_CASE("device averager: a teacher in double follows a student in float", "[thrust][averaging]") {
  thrust::device_vector<double> teacher(3, 1.0);
  const thrust::device_vector<float> student(3, 1.0005F);
  lk::averager a(lk::ema{.decay = 0.5}, lk::in_place(teacher));
  a.update(student);
  CHECK(static_cast<double>(teacher[2]) == Approx(1 + 0.5 * (static_cast<double>(1.0005F) - 1)).epsilon(1e-12));
}
