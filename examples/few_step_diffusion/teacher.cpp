#include "teacher.hpp"

#include "../common/optimizers.hpp"
#include "noised_data.hpp"

#include <limbeck/averaging.hpp>
#include <limbeck/schedule/schedules.hpp>
#include <limbeck/trainer.hpp>

namespace few_step {

denoiser train_teacher(const task& of, int updates, int batch, std::uint64_t seed, const std::filesystem::path& checkpoint) {
  denoiser net(of.shape(), seed), average = net;
  noised_data data{of};
  lk::trainer trainer{net, velocity_of_rows{}, lk::objective{lk::mse{}}, adam(lk::cosine(0.002, 0.0))};
  trainer.fit(data, run_of(data, updates, batch, seed, checkpoint),
              lk::averaging(lk::averager(lk::ema{.decay = 0.995}, lk::in_place(average.parameters())), net));
  return average;
}

namespace {
struct labelled_data {
  const task& of;
  std::size_t size() const { return of.classes.size(); }
  labelled_rows batch(std::span<const std::size_t> rows) const {
    labelled_rows b{matrix(std::ssize(rows), of.rows.cols()), {}};
    for (std::size_t i = 0; i < rows.size(); ++i) {
      b.inputs.row(static_cast<Eigen::Index>(i)) = of.rows.row(static_cast<Eigen::Index>(rows[i]));
      b.labels.push_back(of.classes[rows[i]]);
    }
    return b;
  }
};
}  // namespace

mlp train_classifier(const task& of, int epochs, std::uint64_t seed) {
  mlp net({static_cast<int>(of.rows.cols()), 64, of.class_count}, seed);
  lk::trainer trainer{net, lk::no_teacher{}, lk::objective{lk::cross_entropy{}}, adam(lk::cosine(0.005, 0.0), 0.01)};
  trainer.fit(labelled_data{of}, {.epochs = static_cast<std::size_t>(epochs), .batch = 64, .seed = seed});
  return net;
}

}  // namespace few_step
