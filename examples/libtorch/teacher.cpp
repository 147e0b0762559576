#include "teacher.hpp"

#include <limbeck/torch_trainer.hpp>
#include <limbeck/trainer.hpp>
#include <torch/torch.h>

namespace distil {

namespace lk = limbeck;

void train_teacher(const labelled& data, int epochs, const std::filesystem::path& file) {
  torch::manual_seed(1);
  torch::nn::Sequential network(torch::nn::Linear(16, 256), torch::nn::ReLU(), torch::nn::Linear(256, 256),
                                torch::nn::ReLU(), torch::nn::Linear(256, 26));
  lk::torch_module learner(network);
  lk::trainer trainer{learner, lk::no_teacher{}, lk::cross_entropy{},
                      lk::torch_optimizer(torch::optim::Adam(network->parameters(), 0.01), lk::cosine(1, 0))};
  trainer.fit(lk::torch_data(data.inputs, data.labels), {.epochs = static_cast<std::size_t>(epochs), .batch = 128, .seed = 1},
              lk::progress_bar{});

  torch::jit::Module module("teacher");
  for (const auto& [name, parameter] :
       std::vector<std::pair<std::string, torch::Tensor>>{{"w1", network[0]->as<torch::nn::Linear>()->weight},
                                                          {"b1", network[0]->as<torch::nn::Linear>()->bias},
                                                          {"w2", network[2]->as<torch::nn::Linear>()->weight},
                                                          {"b2", network[2]->as<torch::nn::Linear>()->bias},
                                                          {"w3", network[4]->as<torch::nn::Linear>()->weight},
                                                          {"b3", network[4]->as<torch::nn::Linear>()->bias}})
    module.register_parameter(name, parameter.detach(), false);
  module.define(R"(
    def forward(self, x):
        x = torch.relu(torch.linear(x, self.w1, self.b1))
        x = torch.relu(torch.linear(x, self.w2, self.b2))
        return torch.linear(x, self.w3, self.b3)
  )");
  module.save(file.string());
}

}  // namespace distil
