// Decoded pictures, or crops of them, into the input of a model: a batch at a time, one thread an
// output pixel.
//
// The arithmetic is that of engines/families/letterbox.py, where the formulas and their sources
// stand. Block z is the view; views of one batch may be of any size and layout, and several of one
// picture. A crop is only another first sample and another step: positions are clamped to the
// picture, so nothing beyond it is read whatever the descriptor says. They are float32 here: at 8192
// pixels they are off by 0.001 at most, a quarter of a grey level.

struct Model {
    int width, height;  // of the input, in pixels
    int is_bgr;
    float mean[3], scale[3], pad[3];  // by channel of the input; pad is normalised already
};

struct Picture {
    unsigned long long address;  // Y, then either Cb and Cr or one plane of pairs, without gaps
    int width, height;           // of the luma plane
    int placed_width, placed_height, left, top;  // where it lies in the input, in pixels
    int chroma_step;         // bytes from one Cb to the next: 1 planar, 2 interleaved
    float chroma_shift;      // how far chroma lies right of the left luma sample, in its samples
    float first_x, first_y;  // luma sample of the first output pixel
    float step_x, step_y;    // luma samples from one output pixel to the next
    float black, luma, blue, red, green_of_blue, green_of_red;  // see engines/families/color.py
};

struct Half {
    unsigned short bits;
};

#ifdef __CUDACC__
// One instruction; cuda_fp16.h does not come with NVRTC.
static __device__ unsigned short half_bits(float value) {
    unsigned short bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
}
#endif

static __device__ void store(float* to, float value) { *to = value; }

static __device__ void store(Half* to, float value) { to->bits = half_bits(value); }

struct Taps {
    int low, high;
    float weight;
};

// Taps for a fractional position, which is clamped to the first and last sample.
static __device__ Taps taps(float position, int num_samples) {
    float clamped = fminf(fmaxf(position, 0.0f), (float)(num_samples - 1));
    int low = (int)clamped;
    return {low, min(low + 1, num_samples - 1), clamped - (float)low};
}

static __device__ float mix(float low, float high, float weight) {
    return low + weight * (high - low);
}

static __device__ float read(const unsigned char* plane, int pitch, int step, Taps y, Taps x) {
    const unsigned char* top = plane + y.low * pitch;
    const unsigned char* bottom = plane + y.high * pitch;
    int left = x.low * step, right = x.high * step;
    return mix(mix(top[left], top[right], x.weight), mix(bottom[left], bottom[right], x.weight),
               y.weight);
}

// Red, green and blue at a pixel of the placed picture, 0..255.
static __device__ void color_at(const Picture& picture, int column, int row, float* rgb) {
    const unsigned char* luma = (const unsigned char*)picture.address;
    int chroma_width = (picture.width + 1) / 2, chroma_height = (picture.height + 1) / 2;
    int pitch = chroma_width * picture.chroma_step;
    const unsigned char* cb = luma + picture.width * picture.height;
    const unsigned char* cr = cb + (picture.chroma_step == 1 ? chroma_width * chroma_height : 1);

    float x = picture.first_x + (float)column * picture.step_x;
    float y = picture.first_y + (float)row * picture.step_y;
    Taps chroma_x = taps(x / 2 - picture.chroma_shift, chroma_width);
    Taps chroma_y = taps((y + 0.5f) / 2 - 0.5f, chroma_height);
    float grey = read(luma, picture.width, 1, taps(y, picture.height), taps(x, picture.width));
    float blueness = read(cb, pitch, picture.chroma_step, chroma_y, chroma_x);
    float redness = read(cr, pitch, picture.chroma_step, chroma_y, chroma_x);

    grey = picture.luma * (grey - picture.black);
    blueness = picture.blue * (blueness - 128.0f);
    redness = picture.red * (redness - 128.0f);
    rgb[0] = grey + redness;
    rgb[1] = grey + picture.green_of_blue * blueness + picture.green_of_red * redness;
    rgb[2] = grey + blueness;
}

// Fills one pixel of `out`, [batch, 3, height, width].
template <typename T>
static __device__ void letterbox(const Picture* pictures, T* out, const Model& model) {
    int column = blockIdx.x * blockDim.x + threadIdx.x;
    int row = blockIdx.y * blockDim.y + threadIdx.y;
    if (column >= model.width || row >= model.height) return;
    const Picture& picture = pictures[blockIdx.z];
    int across = column - picture.left, down = row - picture.top;
    bool is_placed = across >= 0 && across < picture.placed_width && down >= 0 &&
                     down < picture.placed_height;
    float rgb[3];
    if (is_placed) color_at(picture, across, down, rgb);

    size_t num_pixels = (size_t)model.width * model.height;
    T* pixel = out + 3 * num_pixels * blockIdx.z + (size_t)row * model.width + column;
    for (int channel = 0; channel < 3; ++channel) {
        float value = model.pad[channel];
        if (is_placed) {
            float color = model.is_bgr ? rgb[2 - channel] : rgb[channel];
            color = fminf(fmaxf(color, 0.0f), 255.0f);
            value = (color - model.mean[channel]) * model.scale[channel];
        }
        store(pixel + channel * num_pixels, value);
    }
}

extern "C" __global__ void letterbox_float32(const Picture* pictures, float* out, Model model) {
    letterbox(pictures, out, model);
}

extern "C" __global__ void letterbox_float16(const Picture* pictures, Half* out, Model model) {
    letterbox(pictures, out, model);
}
