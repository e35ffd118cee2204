// The least relay that Pion allows: one shared H.264 track, added to every viewer's connection. It reads offers as JSON lines and
// answers them the same way, as _video_relays.py does. Built by _video_peers.py against Debian's packages.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/webrtc/v3"
	"github.com/pion/webrtc/v3/pkg/media"
)

type request struct {
	Do    string `json:"do"`
	Offer string `json:"offer"`
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "pion relay:", err)
		os.Exit(1)
	}
}

func readUnits(path string) [][]byte {
	data, err := os.ReadFile(path)
	check(err)
	var units [][]byte
	for len(data) >= 4 {
		size := binary.BigEndian.Uint32(data)
		units = append(units, data[4:4+size])
		data = data[4+size:]
	}
	return units
}

func play(track *webrtc.TrackLocalStaticSample, units [][]byte) {
	frame := time.Second / 30
	begun := time.Now()
	for number := 0; ; number++ {
		check(track.WriteSample(media.Sample{Data: units[number%len(units)], Duration: frame}))
		time.Sleep(time.Until(begun.Add(time.Duration(number+1) * frame)))
	}
}

func open(api *webrtc.API, track *webrtc.TrackLocalStaticSample, offer string) string {
	connection, err := api.NewPeerConnection(webrtc.Configuration{})
	check(err)
	sender, err := connection.AddTrack(track)
	check(err)
	go func() { // what viewers report must be read, or interceptors stall
		buffer := make([]byte, 1500)
		for {
			if _, _, err := sender.Read(buffer); err != nil {
				return
			}
		}
	}()
	check(connection.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}))
	answer, err := connection.CreateAnswer(nil)
	check(err)
	gathered := webrtc.GatheringCompletePromise(connection)
	check(connection.SetLocalDescription(answer))
	<-gathered
	return connection.LocalDescription().SDP
}

func main() {
	units := readUnits(os.Args[1])
	engine := &webrtc.MediaEngine{}
	check(engine.RegisterDefaultCodecs())
	interceptors := &interceptor.Registry{}
	check(webrtc.RegisterDefaultInterceptors(engine, interceptors))
	settings := webrtc.SettingEngine{}
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	api := webrtc.NewAPI(webrtc.WithMediaEngine(engine), webrtc.WithSettingEngine(settings), webrtc.WithInterceptorRegistry(interceptors))
	track, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeH264}, "video", "camera")
	check(err)
	go play(track, units)
	input := bufio.NewReaderSize(os.Stdin, 1<<20)
	output := json.NewEncoder(os.Stdout)
	for {
		line, err := input.ReadBytes('\n')
		if err == io.EOF {
			return
		}
		check(err)
		var asked request
		check(json.Unmarshal(line, &asked))
		check(output.Encode(map[string]string{"answer": open(api, track, asked.Offer)}))
	}
}
