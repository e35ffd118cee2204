/** The address of a worker that is built with the page (vite.config.ts). */
declare module "*?address" {
  const address: string;
  export default address;
}
