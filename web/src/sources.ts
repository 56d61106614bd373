// Where pictures come from: camera, picture file, video file; and what the browser can do.

const MOST_PIXELS = 16e6; // of a picture: larger ones are made smaller

// A WebAssembly module whose one function uses a SIMD instruction.
const SIMD = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
];

export function simdWorks(): boolean {
  return typeof WebAssembly === "object" && WebAssembly.validate(new Uint8Array(SIMD));
}

/** The camera's video, once it runs; `ended` is called when it stops by itself. */
export async function openCamera(ended: () => void): Promise<HTMLVideoElement> {
  const devices = navigator.mediaDevices as MediaDevices | undefined;
  if (!devices) throw new Error("The camera needs https, or a page of this machine (localhost).");
  let stream: MediaStream;
  try {
    const size = { width: { ideal: 640 }, height: { ideal: 480 } };
    stream = await devices.getUserMedia({ video: { ...size, facingMode: "user" }, audio: false });
  } catch (error) {
    const name = error instanceof DOMException ? error.name : "";
    if (name === "NotAllowedError") {
      throw new Error("The camera was not allowed. Allow it in the browser’s address bar and try again.", { cause: error });
    }
    if (name === "NotFoundError") {
      throw new Error("No camera was found. You can open a picture or video instead.", { cause: error });
    }
    throw new Error("The camera cannot be used; another program may be using it.", { cause: error });
  }
  stream.getVideoTracks()[0].addEventListener("ended", ended);
  const video = document.createElement("video");
  video.srcObject = stream;
  return played(video);
}

export async function openVideo(file: File): Promise<HTMLVideoElement> {
  const video = document.createElement("video");
  video.src = URL.createObjectURL(file);
  video.loop = true;
  try {
    return await played(video);
  } catch (error) {
    URL.revokeObjectURL(video.src);
    throw new Error(`${file.name} cannot be played: it is damaged, or of a kind that this browser does not know.`, {
      cause: error,
    });
  }
}

export async function openPicture(file: File): Promise<ImageBitmap> {
  try {
    const picture = await createImageBitmap(file);
    const factor = Math.sqrt(MOST_PIXELS / (picture.width * picture.height));
    if (factor >= 1) return picture;
    const resizeWidth = Math.max(Math.round(picture.width * factor), 1);
    const resizeHeight = Math.max(Math.round(picture.height * factor), 1);
    return await createImageBitmap(picture, { resizeWidth, resizeHeight, resizeQuality: "high" });
  } catch (error) {
    throw new Error(`${file.name} cannot be read: it is damaged, or no picture that this browser knows.`, {
      cause: error,
    });
  }
}

async function played(video: HTMLVideoElement): Promise<HTMLVideoElement> {
  video.muted = true;
  video.playsInline = true;
  await video.play();
  return video;
}

/** Tells when a video has a frame that was not taken yet. */
export class FrameClock {
  private fresh: number | null = null;
  private last: number | null = null;
  private wake: (() => void) | null = null;
  private stopped = false;

  constructor(private readonly video: HTMLVideoElement) {
    this.listen();
  }

  /** The time of the newest frame in seconds, as soon as there is a new one; null when not `wanted`. */
  async next(wanted: () => boolean): Promise<number | null> {
    while (this.fresh === null && wanted()) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
        setTimeout(resolve, 200);
      });
    }
    const time = this.fresh;
    this.fresh = null;
    return time;
  }

  /** Take the frame that the video shows once more, also if none was told before it was paused. */
  again(): void {
    this.tell(this.last ?? this.video.currentTime);
  }

  stop(): void {
    this.stopped = true;
  }

  private tell(time: number): void {
    this.fresh = this.last = time;
    this.wake?.();
  }

  private listen(): void {
    if (this.stopped) return;
    const { video } = this;
    if ("requestVideoFrameCallback" in video) {
      video.requestVideoFrameCallback((_, { mediaTime }) => {
        this.tell(mediaTime);
        this.listen();
      });
    } else {
      // Older browsers: with each picture of the screen, where the video went on.
      requestAnimationFrame(() => {
        const { currentTime, readyState } = video as HTMLVideoElement;
        if (readyState >= HTMLMediaElement.HAVE_CURRENT_DATA && currentTime !== this.last) this.tell(currentTime);
        this.listen();
      });
    }
  }
}
