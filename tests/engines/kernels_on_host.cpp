// The kernels as plain C++: a grid runs block by block, the threads of a block as host threads.

#include <pthread.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <thread>
#include <vector>

using std::min;

struct Index {
    unsigned x, y, z;
};
static thread_local Index threadIdx, blockIdx;
static Index blockDim, gridDim;
static pthread_barrier_t block_barrier;

#define __global__
#define __device__ inline
#define __shared__ static
#define __syncthreads() pthread_barrier_wait(&block_barrier)

static unsigned short half_bits(float value) {
    _Float16 half = (_Float16)value;
    unsigned short bits;
    memcpy(&bits, &half, sizeof bits);
    return bits;
}

#include "copy_rows.cu"
#include "preprocess.cu"
#include "suppress.cu"

template <typename Kernel>
static void launch_side_by_side(unsigned num_blocks, unsigned num_threads, Kernel kernel) {
    blockDim = {num_threads, 1, 1};
    for (unsigned block = 0; block < num_blocks; ++block) {
        pthread_barrier_init(&block_barrier, nullptr, num_threads);
        std::vector<std::thread> threads;
        for (unsigned thread = 0; thread < num_threads; ++thread)
            threads.emplace_back([=] {
                blockIdx = {block, 0, 0};
                threadIdx = {thread, 0, 0};
                kernel();
            });
        for (auto& thread : threads) thread.join();
        pthread_barrier_destroy(&block_barrier);
    }
}

template <typename T>
static void launch_in_turn(const Picture* pictures, T* out, const Model& model, unsigned batch) {
    blockDim = {8, 4, 1};
    Index grid = {(model.width + 7u) / 8, (model.height + 3u) / 4, batch};
    for (blockIdx.z = 0; blockIdx.z < grid.z; ++blockIdx.z)
        for (blockIdx.y = 0; blockIdx.y < grid.y; ++blockIdx.y)
            for (blockIdx.x = 0; blockIdx.x < grid.x; ++blockIdx.x)
                for (threadIdx.y = 0; threadIdx.y < blockDim.y; ++threadIdx.y)
                    for (threadIdx.x = 0; threadIdx.x < blockDim.x; ++threadIdx.x)
                        letterbox(pictures, out, model);
}

extern "C" void run_letterbox_float32(const Picture* pictures, float* out, const Model* model,
                                      unsigned batch) {
    launch_in_turn(pictures, out, *model, batch);
}

extern "C" void run_letterbox_float16(const Picture* pictures, Half* out, const Model* model,
                                      unsigned batch) {
    launch_in_turn(pictures, out, *model, batch);
}

extern "C" void run_suppress(const Box* boxes, const float* scores, const int* classes, Row* out,
                             int num_candidates, int max_kept, float confidence, float iou,
                             float one_plus_iou, float across, float one_plus_across,
                             unsigned long long parts, unsigned batch, unsigned num_threads) {
    launch_side_by_side(batch, num_threads, [=] {
        suppress(boxes, scores, classes, out, num_candidates, max_kept, confidence, iou,
                 one_plus_iou, across, one_plus_across, parts);
    });
}

extern "C" void run_copy_rows(const Surfaces* surfaces, unsigned num_surfaces) {
    gridDim = {3, num_surfaces, 1};
    blockDim = {5, 1, 1};
    for (blockIdx.y = 0; blockIdx.y < gridDim.y; ++blockIdx.y)
        for (blockIdx.x = 0; blockIdx.x < gridDim.x; ++blockIdx.x)
            for (threadIdx.x = 0; threadIdx.x < blockDim.x; ++threadIdx.x) copy_rows(*surfaces);
}
