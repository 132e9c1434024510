// Greedy class-aware suppression of candidates that are sorted best first, one block an image.
//
// Compiled without fused multiply-add, so that each comparison falls as it does in
// engines/families/suppression.py. MAX_CANDIDATES is a compile option.

const float PART_SHARE = 0.7f;

struct Box {
    float left, top, right, bottom;  // in pixels of the model's input
};

struct Row {
    Box box;
    float score, class_id;
};

static __device__ float area(const Box& a) {
    return (a.right - a.left) * (a.bottom - a.top);
}

static __device__ float common(const Box& a, const Box& b) {
    float width = fmaxf(fminf(a.right, b.right) - fmaxf(a.left, b.left), 0.0f);
    float height = fmaxf(fminf(a.bottom, b.bottom) - fmaxf(a.top, b.top), 0.0f);
    return width * height;
}

// Whether intersection / union > iou, written without a division.
static __device__ bool overlap(const Box& a, const Box& b, float iou, float one_plus_iou) {
    return common(a, b) * one_plus_iou > iou * (area(a) + area(b));
}

// Whether one of them lies mostly inside the other.
static __device__ bool is_part(const Box& a, const Box& b) {
    return common(a, b) > PART_SHARE * fminf(area(a), area(b));
}

static __device__ bool has_parts(unsigned long long parts, int class_id) {
    return class_id < 64 && (parts >> class_id & 1);
}

// parts has a bit for each class whose things may be taken apart.
// boxes [images, num_candidates], scores and classes alike; num_candidates <= MAX_CANDIDATES.
// out [images, 1 + max_kept] rows: the first has the number of boxes kept where others have `left`,
// the kept follow, best first; what lies behind them is unspecified.
extern "C" __global__ void suppress(const Box* boxes, const float* scores, const int* classes,
                                    Row* out, int num_candidates, int max_kept, float confidence,
                                    float iou, float one_plus_iou, float across,
                                    float one_plus_across, unsigned long long parts) {
    __shared__ Box box[MAX_CANDIDATES];
    __shared__ float score[MAX_CANDIDATES];
    __shared__ int class_id[MAX_CANDIDATES];
    __shared__ bool is_gone[MAX_CANDIDATES];

    int first = blockIdx.x * num_candidates;
    Row* rows = out + (size_t)blockIdx.x * (1 + max_kept);
    for (int i = threadIdx.x; i < num_candidates; i += blockDim.x) {
        box[i] = boxes[first + i];
        score[i] = scores[first + i];
        class_id[i] = classes[first + i];
        is_gone[i] = false;
    }
    __syncthreads();

    int num_kept = 0;
    for (int i = 0; i < num_candidates && num_kept < max_kept && score[i] >= confidence; ++i) {
        // Only kept boxes remove others, and each of them ends with a barrier: is_gone[i] is final.
        if (is_gone[i]) continue;
        bool is_large = has_parts(parts, class_id[i]);
        for (int j = i + 1 + threadIdx.x; j < num_candidates; j += blockDim.x) {
            bool is_same = class_id[j] == class_id[i];
            if (overlap(box[i], box[j], is_same ? iou : across,
                        is_same ? one_plus_iou : one_plus_across) ||
                (is_large && has_parts(parts, class_id[j]) && is_part(box[i], box[j])))
                is_gone[j] = true;
        }
        ++num_kept;
        if (threadIdx.x == 0) rows[num_kept] = {box[i], score[i], (float)class_id[i]};
        __syncthreads();
    }
    if (threadIdx.x == 0) rows[0].box.left = (float)num_kept;
}
