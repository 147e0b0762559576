// Who owns what, and what may not be mixed.
#include "catch.hpp"
#include "device_cases.hpp"

using namespace limbeck_test;

static_assert(lk::tensor<lk::device_rows<float>> && lk::tensor<lk::device_rows<const double>>);
static_assert(!lk::tensor<thrust::device_vector<float>>, "a vector has no shape");
static_assert(lk::detail::is_labels<thrust::device_vector<int>> && lk::detail::is_labels<thrust::host_vector<long>>);
static_assert(std::is_same_v<lk::detail::vector_memory_t<lk::device_span<const int>>, lk::device_memory>);
static_assert(std::is_same_v<lk::detail::vector_memory_t<thrust::host_vector<int>>, lk::host_rows>);
static_assert(!std::is_copy_constructible_v<lk::device_workspace> && std::is_move_constructible_v<lk::device_result>);

TEST_CASE("device: the convenience form makes a gradient on the device", "[thrust]") {
  const auto b = random_batch<float>(4, 9);
  const device_batch<float> d(b);
  const auto objective = lk::at_temperature(4.0, lk::forward_kl{}) + lk::cross_entropy{};
  const auto [loss, gradient] = objective(d.s(), d.t(), d.labels);
  const auto expected = objective(b.s(), b.t(), b.labels);
  CHECK(loss == Approx(expected.loss));
  complaints found;
  compare_rows(found, "gradient", expected.gradient, to_host(gradient), 9);
  CHECK(found.empty());
}

TEST_CASE("device: the workspace is allocated once", "[thrust]") {
  const auto b = random_batch<float>(40, 9);
  device_batch<float> d(b);
  const auto kl = lk::at_temperature(4.0, lk::forward_kl{});
  lk::device_workspace ws;
  CHECK(ws.size() == 0);
  const double first = kl.value(d.s(), d.t(), ws);
  const std::size_t held = ws.size();
  CHECK(held > 0);
  CHECK(kl.value(d.s(), d.t(), ws) == first);
  CHECK(ws.size() == held);
}

TEST_CASE("device: raw pointers, device_ptr, host_vector", "[thrust]") {
  const auto b = random_batch<double>(5, 12);
  device_batch<double> d(b);
  const auto kl = lk::at_temperature(4.0, lk::forward_kl{}) + lk::cross_entropy{};
  const double expected = kl.value(b.s(), b.t(), b.labels);
  const lk::device_span<const int> labels(thrust::raw_pointer_cast(d.labels.data()), 5);
  CHECK(kl.value(lk::on_device(d.student.data(), 5, 12), lk::on_device(d.teacher.data(), 5, 12), labels) ==
        Approx(expected).epsilon(1e-13));
  const thrust::host_vector<double> s(b.student.begin(), b.student.end()), t(b.teacher.begin(), b.teacher.end());
  const thrust::host_vector<int> y(b.labels.begin(), b.labels.end());
  CHECK(kl.value(lk::on_host(s, 5, 12), lk::on_host(t, 5, 12), y) == expected);
}

TEST_CASE("device: micro-batches add up, empty ones are nothing", "[thrust]") {
  const auto b = random_batch<double>(7, 30);
  device_batch<double> d(b);
  const auto kl = lk::at_temperature(4.0, lk::forward_kl{});
  lk::device_workspace ws;
  const double whole = kl.value(d.s(), d.t(), ws);
  const double* s = thrust::raw_pointer_cast(d.student.data());
  const double* t = thrust::raw_pointer_cast(d.teacher.data());
  const auto part = [&](std::size_t first, std::size_t count) {
    return kl.value(lk::device_rows<const double>(s + first * 30, count, 30),
                    lk::device_rows<const double>(t + first * 30, count, 30), ws, lk::mean_over(7));
  };
  CHECK(part(0, 3) + part(3, 4) == Approx(whole).epsilon(1e-13));
  CHECK(part(7, 0) == 0);
}

TEST_CASE("device: a report", "[thrust]") {
  const auto b = random_batch<float>(6, 17);
  device_batch<float> d(b);
  const auto objective = 0.1 * lk::cross_entropy{} + lk::at_temperature(4.0, lk::forward_kl{});
  const auto host = objective.report(b.s(), b.t(), b.labels), device = objective.report(d.s(), d.t(), d.labels);
  REQUIRE(device.terms().size() == 2);
  for (std::size_t k = 0; k < 2; ++k) {
    CHECK(device.terms()[k].value == Approx(host.terms()[k].value));
    CHECK(device.terms()[k].gradient_norm == Approx(host.terms()[k].gradient_norm));
  }
}

TEST_CASE("device: several outputs, and gradients that are added", "[thrust]") {
  const auto a = random_batch<double>(7, 30), b = random_batch<double>(7, 30, 2);
  device_batch<double> first(a), second(b);
  const lk::objective kl{lk::forward_kl{}};
  const auto o = kl + lk::at<"logits", "other">(2.0 * lk::mse{});
  thrust::device_vector<double> gz(7 * 30, 9.0), idle(7 * 30, 9.0), sum(7 * 30, 2.0);
  const auto at = [](thrust::device_vector<double>& v) {
    return lk::device_rows<double>(thrust::raw_pointer_cast(v.data()), 7, 30);
  };
  auto to = lk::outputs{lk::output<"logits">(at(gz)), lk::output<"idle">(at(idle))};
  lk::device_workspace ws;
  const auto student = lk::outputs{lk::output<"logits">(first.s()), lk::output<"idle">(first.s())};
  const auto teacher = lk::outputs{lk::output<"logits">(first.t()), lk::output<"other">(second.t())};
  const double loss = o(student, teacher, lk::into(to), ws).loss;
  const auto x = kl(a.s(), a.t()), y = (2.0 * lk::mse{})(a.s(), b.t());
  CHECK(loss == Approx(x.loss + y.loss).epsilon(1e-12));
  kl(first.s(), first.t(), lk::add_to(at(sum)), ws);
  const auto mine = to_host(gz), idle_gradient = to_host(idle), added = to_host(sum);
  for (std::size_t i = 0; i < mine.size(); ++i) {
    CHECK(mine[i] == Approx(x.gradient[i] + y.gradient[i]).epsilon(1e-11).margin(1e-13));
    CHECK(idle_gradient[i] == 0);
    CHECK(added[i] == Approx(2 + x.gradient[i]).epsilon(1e-11));
  }
}

TEST_CASE("device: the first classes of wider rows, and labels of the next token", "[thrust]") {
  const std::size_t n = 12, classes = 9, width = 13;
  const auto b = random_batch<float>(n, classes);
  std::vector<float> wide[2];
  for (const auto& [x, out] : {std::pair{&b.student, &wide[0]}, {&b.teacher, &wide[1]}})
    for (std::size_t i = 0; i < n * width; ++i)
      out->push_back(i % width < classes ? (*x)[i / width * classes + i % width] : std::numeric_limits<float>::quiet_NaN());
  const thrust::device_vector<float> s(wide[0].begin(), wide[0].end()), t(wide[1].begin(), wide[1].end());
  const thrust::device_vector<int> labels(b.labels.begin(), b.labels.end());
  thrust::device_vector<float> gradient(n * width, 5.0F);
  const auto objective = lk::at_temperature(4.0, lk::forward_kl{}) + lk::cross_entropy{};
  const auto first = [&](const auto& v) { return lk::first_classes(classes, lk::on_device(v, n, width)); };
  std::vector<int> next;
  for (std::size_t i = 0; i < n; ++i) next.push_back(i % 4 == 3 ? -100 : b.labels[i + 1]);
  const auto expected = objective(b.s(), b.t(), next);
  lk::device_workspace ws;
  const auto got = objective(first(s), first(t), lk::next_tokens(labels, 4),
                             lk::into(lk::first_classes(classes, lk::on_device(gradient, n, width))), ws);
  CHECK(got.loss == Approx(expected.loss));
  CHECK(got.rows == 9);
  const auto made = objective(first(s), first(t), lk::next_tokens(labels, 4));
  for (const auto& g : {to_host(gradient), to_host(made.gradient)})
    for (std::size_t i = 0; i < g.size(); ++i)
      CHECK(g[i] == Approx(i % width < classes ? expected.gradient[i / width * classes + i % width] : 0).margin(1e-6));
}
